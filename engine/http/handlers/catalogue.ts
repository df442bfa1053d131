/** `PUT /api/v1/products/{sku_id}` and `PUT /api/v1/warehouses/{warehouse_id}`: whole descriptions. */
import { asSku } from '../../domain/ids.ts';
import type { Pool } from '../../postgres/pool.ts';
import { type LevelPolicy, usualLevel } from '../../reservations/levels.ts';
import type { WarehouseDirectory } from '../../stock/directory.ts';
import type { ProductDeps } from '../../stock/products.ts';
import { PRODUCT_DEFAULTS, putProduct } from '../../stock/products.ts';
import { isTimeZone, WAREHOUSE_DEFAULTS } from '../../stock/warehouse.ts';
import { putWarehouse } from '../../stock/warehouse-store.ts';
import type { AnswerHeaders } from '../answer.ts';
import type { Exchange, Handler } from '../exchange.ts';
import { outcomeProblem, retryAfter } from '../outcome-problem.ts';
import { appliedPreference } from '../preferences.ts';
import { compileBody } from '../schema.ts';
import { productRequest, warehouseRequest } from '../schema-stock.ts';
import { answerFaults, readPathId, readRequest } from './request.ts';

const RETRY_AFTER_MS = 1_000;
/** A warehouse stands in PostgreSQL before it is answered: persisted, whatever is preferred. */
const KEEPS_ANY_LEVEL = { lacks: {} };

export function productHandler(deps: ProductDeps & { readonly policy: LevelPolicy }): Handler {
  const check = compileBody(productRequest);
  return async (exchange) => {
    const sku = readPathId(exchange, 'sku_id');
    if (sku === undefined) return;
    const request = readRequest(exchange, check, deps.policy);
    if (request === undefined) return;
    const product = { sku_id: sku, ...PRODUCT_DEFAULTS, ...request.body };
    const level = request.level ?? usualLevel('stock', [{ sku: asSku(sku) }], deps.policy);
    const answer = await orUnavailable(exchange, () => putProduct(product, level, deps));
    if (answer === undefined) return;
    if (answer.kind === 'put') {
      const headers: AnswerHeaders =
        request.level === undefined ? {} : { 'preference-applied': appliedPreference(level) };
      exchange.respondJson(answer.created ? 201 : 200, { ...product, durability: level }, headers);
    } else if (answer.kind === 'refused') {
      const { outcome, retryAfterMs } = answer.refusal;
      const detail = `It is described, but not on sale yet: ${answer.refusal.detail}. PUT it again.`;
      exchange.problem(outcomeProblem(outcome), { detail }, retryAfter(retryAfterMs));
    } else {
      const detail = `It is on sale, but that was not seen to be ${level} in time. PUT it again.`;
      const headers = retryAfter(RETRY_AFTER_MS);
      exchange.problem(outcomeProblem('durability_unknown'), { detail }, headers);
    }
  };
}

export interface WarehouseDeps {
  readonly pool: Pool;
  readonly directory: WarehouseDirectory;
}

export function warehouseHandler(deps: WarehouseDeps): Handler {
  const check = compileBody(warehouseRequest);
  return async (exchange) => {
    const id = readPathId(exchange, 'warehouse_id');
    if (id === undefined) return;
    const request = readRequest(exchange, check, KEEPS_ANY_LEVEL);
    if (request === undefined) return;
    const warehouse = { warehouse_id: id, ...WAREHOUSE_DEFAULTS, ...request.body };
    if (!isTimeZone(warehouse.time_zone)) {
      const message = `must be a time zone of the IANA database such as Europe/Berlin, not "${warehouse.time_zone}"`;
      answerFaults(exchange, [{ pointer: '/time_zone', message }]);
      return;
    }
    const answer = await orUnavailable(exchange, () => putWarehouse(deps.pool, warehouse));
    if (answer === undefined) return;
    deps.directory.put(warehouse);
    exchange.respondJson(answer.created ? 201 : 200, warehouse);
  };
}

/** What `ask` gives, or undefined when PostgreSQL failed and the exchange was answered. */
export async function orUnavailable<Answer>(
  exchange: Exchange,
  ask: () => Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    return await ask();
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    exchange.problem(
      outcomeProblem('store_unavailable'),
      { detail: `PostgreSQL could not be asked: ${cause}. Send the same request again.` },
      retryAfter(RETRY_AFTER_MS),
    );
    return undefined;
  }
}
