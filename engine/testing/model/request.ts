/** An ask as the HTTP request that carries it. */
import type { Ask, ReserveAsk, StockAsk } from './ask.ts';

export interface HttpAsk {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

const INVENTORY = '/api/v1/inventory';

export function requestOf(ask: Ask): HttpAsk {
  switch (ask.kind) {
    case 'reserve':
      return reserveRequest(ask);
    case 'settle': {
      const lines = ask.lines?.map(({ sku, warehouse, quantity }) => {
        return { sku_id: sku, ...(warehouse && { warehouse_id: warehouse }), quantity };
      });
      const epoch = ask.holdEpoch === undefined ? {} : { hold_epoch: ask.holdEpoch };
      const body = { reservation_id: ask.id, ...(lines && { lines }), ...epoch };
      return post(`${INVENTORY}/${ask.verb}`, body, ask.key);
    }
    case 'extend':
      return post(
        `${INVENTORY}/extend`,
        { reservation_id: ask.id, ttl_seconds: ask.ttlS },
        undefined,
      );
    case 'stock':
      return stockRequest(ask);
    case 'look':
      return { method: 'GET', path: `${INVENTORY}/reservations/${ask.id}`, headers: {} };
  }
}

function reserveRequest(ask: ReserveAsk): HttpAsk {
  const items = ask.items.map(({ sku, quantity, warehouses }) => {
    const [only] = warehouses;
    const from = warehouses.length > 1 ? warehouses : only;
    return { sku_id: sku, ...(from !== undefined && { warehouse_id: from }), quantity };
  });
  const body = {
    items,
    ...('id' in ask.by && { reservation_id: ask.by.id }),
    ttl_seconds: ask.ttlS,
    ...(ask.partial && { mode: 'partial' }),
    ...(!ask.split && { split: false }),
  };
  return post(`${INVENTORY}/reserve`, body, 'key' in ask.by ? ask.by.key : undefined);
}

function stockRequest(ask: StockAsk): HttpAsk {
  const lines = ask.lines.map(({ sku, warehouse, delta }) => {
    return { sku_id: sku, warehouse_id: warehouse, quantity: delta };
  });
  const reason = ask.verb === 'adjust' ? { reason: 'correction' } : {};
  return post(`/api/v1/stock/${ask.verb}`, { lines, ...reason }, ask.key);
}

function post(path: string, body: unknown, key: string | undefined): HttpAsk {
  return {
    method: 'POST',
    path,
    body,
    headers: key === undefined ? {} : { 'idempotency-key': key },
  };
}
