/** The flash sale: one SKU, a crowd that wants more than there is, each request over HTTP. */

import type { ShopperAnswer, ShopperRequest } from '../load/shopper.ts';
import { deriveCatalogue } from '../orders/catalogue.ts';
import type { OrderLine } from '../orders/parse.ts';
import { WAREHOUSES } from '../orders/warehouses.ts';
import { type Api, type ApiAnswer, type ApiCall, fieldOf, isUndecided } from './api.ts';
import { HOLD_TTL_S } from './crowd.ts';
import type { WaitingRoom } from './waiting-room.ts';

/**
 * The retailer's best seller as an edition of its own, so that the sale's units are not the orders'. The demo
 * says so; what is sold of it is counted apart.
 */
export interface SaleItem {
  readonly skuId: string;
  readonly name: string;
  readonly units: number;
}

export function bestSeller(lines: readonly OrderLine[], units: number): SaleItem {
  const soldOf = new Map<string, number>();
  for (const { sku, quantity } of lines) soldOf.set(sku, (soldOf.get(sku) ?? 0) + quantity);
  const [best] = deriveCatalogue(lines).products.toSorted(
    (left, right) => (soldOf.get(right.skuId) ?? 0) - (soldOf.get(left.skuId) ?? 0),
  );
  if (best === undefined) throw new Error('the real orders name no product');
  return { skuId: `FLASH-${best.skuId}`, name: best.name, units };
}

/** The units by warehouse, as the orders of the home country fall; the first takes what rounding leaves. */
export function spreadUnits(units: number): readonly { warehouseId: string; quantity: number }[] {
  const [first, ...others] = WAREHOUSES;
  if (first === undefined) return [];
  const shares = others.map(({ warehouseId, homeShare }) => ({
    warehouseId,
    quantity: Math.floor(units * homeShare),
  }));
  const taken = shares.reduce((sum, { quantity }) => sum + quantity, 0);
  return [{ warehouseId: first.warehouseId, quantity: units - taken }, ...shares].filter(
    ({ quantity }) => quantity > 0,
  );
}

/** What the tally does not count. */
export interface SaleCounts {
  /** Answers that said "done before". */
  replays: number;
  /** Shoppers who were answered at all. */
  firstVisits: number;
}

export interface SenderOptions {
  readonly api: Pick<Api, 'call'>;
  readonly item: SaleItem;
  readonly counts: SaleCounts;
  readonly room: WaitingRoom;
  /** Shoppers of two waves have the same names; with it their keys differ. */
  readonly wave: string;
}

type Send = (request: ShopperRequest, dueAtMs: number) => Promise<ShopperAnswer>;

export function saleSender({ api, item, counts, room, wave }: SenderOptions): Send {
  const reserve = async (call: ApiCall, dueAtMs: number): Promise<ApiAnswer> => {
    const isFull = room.isFull;
    await room.enter();
    try {
      // Who had to wait at the door is due when it opens: that wait is told apart.
      return await api.call({ ...call, dueAtMs: isFull ? performance.now() : dueAtMs });
    } finally {
      room.leave();
    }
  };
  return async (request, dueAtMs) => {
    const call = callOf(request, item, wave);
    const isReserve = request.kind === 'reserve';
    const answer = await (isReserve ? reserve(call, dueAtMs) : api.call({ ...call, dueAtMs }));
    if (answer.isReplay) counts.replays += 1;
    const isFirst = request.sentAs === 'first' && request.idempotencyKey.endsWith(FIRST_VISIT);
    if (isFirst) counts.firstVisits += 1;
    return readAnswer(request.kind, answer);
  };
}

/** How bench/load spells the key of a shopper's first reserve. */
const FIRST_VISIT = ':1:reserve';

function callOf(request: ShopperRequest, item: SaleItem, wave: string): ApiCall {
  const { kind } = request;
  const key = `${wave}:${request.idempotencyKey}`;
  const common = { method: 'POST', path: `/api/v1/inventory/${kind}`, label: kind, key } as const;
  if (request.kind !== 'reserve') {
    return { ...common, body: { reservation_id: request.reservationId } };
  }
  const items = [{ sku_id: item.skuId, quantity: request.quantity }];
  const body = { items, customer_id: `${wave}:${request.shopperId}`, ttl_seconds: HOLD_TTL_S };
  return { ...common, body };
}

/** The hold is gone, for good. */
const LOST = new Set(['expired', 'hold_lost', 'already_released', 'not_found']);

/** What an HTTP answer means to a shopper. */
export function readAnswer(kind: ShopperRequest['kind'], answer: ApiAnswer): ShopperAnswer {
  if (isUndecided(answer)) return { kind: 'unknown' };
  const { status, code, body } = answer;
  if (status < 300) {
    if (kind === 'commit') return { kind: 'committed' };
    if (kind === 'release') return { kind: 'released' };
    const reservationId = fieldOf(body, 'reservation_id');
    return typeof reservationId === 'string'
      ? { kind: 'reserved', reservationId }
      : { kind: 'refused', code: 'no_reservation_id' };
  }
  if (kind === 'reserve' && code === 'insufficient') return { kind: 'sold_out' };
  if (kind !== 'reserve' && LOST.has(code)) return { kind: 'lost' };
  return { kind: 'refused', code };
}
