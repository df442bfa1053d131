/** Before the doors open: warehouses, products and the units that stand there, all through the API. */
import { deriveCatalogue, type Product } from '../orders/catalogue.ts';
import { deriveOpeningStock, type OpeningCell } from '../orders/opening-stock.ts';
import type { OrderLine } from '../orders/parse.ts';
import { WAREHOUSES } from '../orders/warehouses.ts';
import { type Api, type ApiCall, describeAnswer } from './api.ts';
import { type SaleItem, spreadUnits } from './flash-sale.ts';

/** What stands in the shop at the start. */
export interface Opening {
  readonly warehouses: number;
  readonly products: number;
  readonly cells: number;
  readonly units: number;
}

/** How far it has come: of the requests that there are. */
export type OnOpening = (done: number, all: number) => void;

/** The engine batches what waits together, and each waits until PostgreSQL has it. */
const AT_ONCE = 256;
const RECEIVE_LINES_MAX = 1_000;

export async function openShop(
  api: Api,
  lines: readonly OrderLine[],
  item: SaleItem,
  onOpening: OnOpening,
): Promise<Opening> {
  const { products } = deriveCatalogue(lines);
  const stock = deriveOpeningStock(lines);
  const saleCells = spreadUnits(item.units).map((cell) => ({ skuId: item.skuId, ...cell }));
  const rounds = [
    WAREHOUSES.map(warehouseCall),
    [...products.map(productCall), saleProductCall(item)],
    [...receiveCalls('opening', stock.cells), ...receiveCalls('flash-sale', saleCells)],
  ];
  const all = rounds.reduce((sum, { length }) => sum + length, 0);
  let done = 0;
  for (const calls of rounds) {
    await eachAtOnce(AT_ONCE, calls, async (call) => {
      const answer = await api.insist(call);
      if (answer.status >= 300 || answer.status === 0) {
        throw new Error(`${call.method} ${call.path} was refused: ${describeAnswer(answer)}`);
      }
      done += 1;
      onOpening(done, all);
    });
  }
  return {
    warehouses: WAREHOUSES.length,
    products: products.length + 1,
    cells: stock.cells.length + saleCells.length,
    units: stock.units + item.units,
  };
}

function warehouseCall(warehouse: (typeof WAREHOUSES)[number]): ApiCall {
  const { warehouseId, name, country, latitude, longitude } = warehouse;
  const body = {
    name,
    location: country,
    latitude,
    longitude,
    time_zone: warehouse.timeZone,
    cut_off: warehouse.cutOffTime,
    handling_days: warehouse.handlingDays,
  };
  return { method: 'PUT', path: `/api/v1/warehouses/${warehouseId}`, body, label: 'warehouse' };
}

function productCall({ skuId, name, unitPricePence }: Product): ApiCall {
  const attributes =
    unitPricePence === undefined ? {} : { price: unitPricePence / 100, currency: 'GBP' };
  return productPut(skuId, { name, attributes });
}

function saleProductCall({ skuId, name }: SaleItem): ApiCall {
  return productPut(skuId, { name: `${name} (flash sale)` });
}

function productPut(skuId: string, body: object): ApiCall {
  const path = `/api/v1/products/${encodeURIComponent(skuId)}`;
  return { method: 'PUT', path, body, label: 'product' };
}

function receiveCalls(key: string, cells: readonly OpeningCell[]): ApiCall[] {
  const calls: ApiCall[] = [];
  for (let at = 0; at < cells.length; at += RECEIVE_LINES_MAX) {
    const lines = cells.slice(at, at + RECEIVE_LINES_MAX).map((cell) => ({
      sku_id: cell.skuId,
      warehouse_id: cell.warehouseId,
      quantity: cell.quantity,
    }));
    const body = { lines, reason: 'opening_balance' };
    const path = '/api/v1/stock/receive';
    calls.push({ method: 'POST', path, body, key: `${key}-${at}`, label: 'receive' });
  }
  return calls;
}

/** Stops at the first that rejects; what is under way then ends by itself. */
async function eachAtOnce<T>(
  workers: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const run = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: workers }, run));
}
