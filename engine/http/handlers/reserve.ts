/** `POST /api/v1/inventory/reserve`. */
import { QUANTITY_MAX } from '../../domain/cell.ts';
import { CART_CELLS_MAX } from '../../domain/script-limits.ts';
import { Cart, cartAttributes, firstBeyondCells, mergeItems } from '../../reservations/cart.ts';
import type { ReservationDeps } from '../../reservations/deps.ts';
import { PUBLIC_CALLER } from '../../reservations/identity.ts';
import { reserve } from '../../reservations/reserve.ts';
import type { Exchange, Handler } from '../exchange.ts';
import type { JsonValue } from '../json.ts';
import type { BodyCheck, TtlBounds } from '../schema.ts';
import { compileBody, requestSchemas } from '../schema.ts';
import type { Presented, Presenter } from './present.ts';
import { type Asked, answerFaults, type Deployment, readRequest, readTerms } from './request.ts';
import { NOTHING_SAID, type ReserveForm } from './reserve-form.ts';
import { scanReserve } from './reserve-scan.ts';

export function reserveHandler(deps: ReservationDeps, present: Presenter): Handler {
  const read = reserveReader(deps.policy);
  const plainCarts = new Map<string, ReadCart>();
  return (exchange) => {
    const text = exchange.text ?? '';
    const kept = plainCarts.get(text);
    const request =
      kept === undefined ? readCart(exchange, read) : readTerms(exchange, kept, deps.policy);
    if (request === undefined) return;
    const { cart, asked, reservationId } = request.body;
    if (kept === undefined && isPlain(request.body, text)) {
      if (plainCarts.size === PLAIN_CARTS_MAX) plainCarts.clear();
      plainCarts.set(text, request.body);
    }
    const { level, idempotencyKey } = request;
    const presented = level === undefined ? asked : { ...asked, isLevelPreferred: true };
    reserve({ cart, level, idempotencyKey, reservationId, caller: PUBLIC_CALLER }, deps, (answer) =>
      present(exchange, answer, presented),
    );
  };
}

/** A body as the service takes it. */
interface ReadCart {
  readonly cart: Cart;
  readonly reservationId: ReserveForm['about']['reservation_id'];
  /** As long as no level is preferred. */
  readonly asked: Presented;
}

/** In a sale nearly all want the same. Beyond so many all are forgotten: each is one pass to read. */
const PLAIN_CARTS_MAX = 1_024;
const PLAIN_TEXT_MAX = 160;

/** Whether others may send it, too: it names nobody. */
function isPlain({ cart, reservationId }: ReadCart, text: string): boolean {
  const isNobodys = cart.attributes === '' && reservationId === undefined;
  return isNobodys && text.length <= PLAIN_TEXT_MAX;
}

/** The request with its cart, or undefined when it was not acceptable and the exchange answered. */
function readCart(exchange: Exchange, read: ReserveReader): Asked<ReadCart> | undefined {
  const request = read(exchange);
  if (request === undefined) return undefined;
  const { items, itemsPointer, about } = request.body;
  const lines = mergeItems(items);
  if (!Array.isArray(lines)) {
    const message = `brings its SKU to ${lines.total} units; at most ${QUANTITY_MAX}`;
    answerFaults(exchange, [{ pointer: `${itemsPointer}/${lines.item}/quantity`, message }]);
    return undefined;
  }
  const beyond = firstBeyondCells(lines);
  if (beyond !== undefined) {
    const message = `the items name more than ${CART_CELLS_MAX} warehouses in all`;
    answerFaults(exchange, [{ pointer: `${itemsPointer}/${beyond.item}/warehouse_id`, message }]);
    return undefined;
  }
  const cart = new Cart(lines, {
    partial: about.mode === 'partial',
    split: about.split ?? true,
    ttlS: about.ttl_seconds,
    attributes: cartAttributes(about),
  });
  const asked: Presented = {
    operation: 'reserve',
    isLevelPreferred: false,
    cart: { lines, partial: cart.partial, itemsPointer },
  };
  const { level, idempotencyKey } = request;
  return { body: { cart, asked, reservationId: about.reservation_id }, level, idempotencyKey };
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
