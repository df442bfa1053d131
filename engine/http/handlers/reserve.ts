/** `POST /api/v1/inventory/reserve`. */
import { QUANTITY_MAX } from '../../domain/cell.ts';
import type { Cart, ItemInput } from '../../reservations/cart.ts';
import { cartAttributes, mergeItems } from '../../reservations/cart.ts';
import type { ReservationDeps } from '../../reservations/deps.ts';
import { PUBLIC_CALLER } from '../../reservations/identity.ts';
import { reserve } from '../../reservations/reserve.ts';
import type { Handler } from '../exchange.ts';
import type { JsonValue } from '../json.ts';
import type { BodyCheck, ReserveBody } from '../schema.ts';
import { compileBody, requestSchemas } from '../schema.ts';
import type { Presenter } from './present.ts';
import { answerFaults, readRequest } from './request.ts';

/** The two forms of the body as one: an array is a cart without anything said about it. */
interface ReserveForm {
  readonly items: readonly ItemInput[];
  readonly itemsPointer: '' | '/items';
  readonly about: Omit<ReserveBody, 'items'>;
}

const NOTHING_SAID = Object.freeze({});

export function reserveHandler(deps: ReservationDeps, present: Presenter): Handler {
  const check = checkEither(deps);
  return (exchange) => {
    const request = readRequest(exchange, check, deps.policy);
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

function checkEither(deps: ReservationDeps): BodyCheck<ReserveForm> {
  const schemas = requestSchemas(deps.policy);
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
