/** `POST /api/v1/inventory/reserve`. */
import { QUANTITY_MAX } from '../../domain/cell.ts';
import type { Cart } from '../../reservations/cart.ts';
import { cartAttributes, mergeItems } from '../../reservations/cart.ts';
import type { ReservationDeps } from '../../reservations/deps.ts';
import { PUBLIC_CALLER } from '../../reservations/identity.ts';
import { reserve } from '../../reservations/reserve.ts';
import type { Exchange, Handler } from '../exchange.ts';
import type { JsonValue } from '../json.ts';
import type { BodyCheck, TtlBounds } from '../schema.ts';
import { compileBody, requestSchemas } from '../schema.ts';
import type { Presenter } from './present.ts';
import { type Asked, answerFaults, type Deployment, readRequest } from './request.ts';
import { NOTHING_SAID, type ReserveForm } from './reserve-form.ts';
import { scanReserve } from './reserve-scan.ts';

export function reserveHandler(deps: ReservationDeps, present: Presenter): Handler {
  const read = reserveReader(deps.policy);
  return (exchange) => {
    const request = read(exchange);
    if (request === undefined) return;
    const { items, itemsPointer, about } = request.body;
    const lines = mergeItems(items);
    if (!Array.isArray(lines)) {
      const message = `brings its SKU to ${lines.total} units; at most ${QUANTITY_MAX}`;
      answerFaults(exchange, [{ pointer: `${itemsPointer}/${lines.item}/quantity`, message }]);
      return;
    }
    const cart: Cart = {
      lines,
      partial: about.mode === 'partial',
      split: about.split ?? true,
      ttlS: about.ttl_seconds,
      attributes: cartAttributes(about),
    };
    const { level, idempotencyKey } = request;
    const asked = {
      operation: 'reserve',
      isLevelPreferred: level !== undefined,
      cart: { lines, partial: cart.partial, itemsPointer },
    };
    reserve(
      { cart, level, idempotencyKey, reservationId: about.reservation_id, caller: PUBLIC_CALLER },
      deps,
      (answer) => present(exchange, answer, asked),
    );
  };
}

type ReserveReader = (exchange: Exchange) => Asked<ReserveForm> | undefined;

/** The request, or undefined when it was not acceptable and the exchange was answered. */
export function reserveReader(deployment: Deployment & TtlBounds): ReserveReader {
  const check = checkReserve(deployment);
  const scan = (text: string): ReserveForm | undefined => scanReserve(text, deployment);
  return (exchange) => readRequest(exchange, check, deployment, scan);
}

/** Either form, by its schema. */
export function checkReserve(bounds: TtlBounds): BodyCheck<ReserveForm> {
  const schemas = requestSchemas(bounds);
  const checkItems = compileBody(schemas.reserveItems);
  const checkObject = compileBody(schemas.reserve);
  return (value: JsonValue) => {
    if (Array.isArray(value)) {
      const checked = checkItems(value);
      if ('faults' in checked) return checked;
      return { body: { items: checked.body, itemsPointer: '', about: NOTHING_SAID } };
    }
    const checked = checkObject(value);
    if ('faults' in checked) return checked;
    const { items } = checked.body;
    return { body: { items, itemsPointer: '/items', about: checked.body } };
  };
}
