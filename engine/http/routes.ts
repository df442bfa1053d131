/** Every path of the API and its handler: the table that openapi-paths.ts describes. */
import type { Pool } from '../postgres/pool.ts';
import type { ReservationDeps } from '../reservations/deps.ts';
import type { Line } from '../runtime/line.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { createAvailability } from '../stock/availability.ts';
import { ShipDates } from '../stock/ship-date.ts';
import type { SkuClasses } from '../stock/sku-classes.ts';
import { availabilityHandler, skuAvailabilityHandler } from './handlers/availability.ts';
import { productHandler, warehouseHandler } from './handlers/catalogue.ts';
import { healthHandler, type ReadinessDeps, readinessHandler } from './handlers/health.ts';
import { createPresenter } from './handlers/present.ts';
import {
  metricsHandler,
  openApiHandler,
  problemListHandler,
  problemPageHandler,
} from './handlers/reference.ts';
import { CHANGE_HEADERS } from './handlers/request.ts';
import { reservationHandler } from './handlers/reservation.ts';
import { reserveHandler } from './handlers/reserve.ts';
import { commitHandler, extendHandler, settleHandler } from './handlers/settle.ts';
import { stockHandler } from './handlers/stock.ts';
import { openApiDocument } from './openapi.ts';
import type { Route } from './router.ts';

export interface ApiDeps extends ReservationDeps {
  readonly pool: Pool;
  /** In which answers are given that come many at once. */
  readonly line: Line;
  readonly metrics: Metrics;
  readonly skuClasses: Pick<SkuClasses, 'put'>;
}

export interface ApiSettings {
  /** ISO 4217: of a unit_cost that comes without its currency. */
  readonly currency: string;
  /** As given to `startHttpServer`. */
  readonly problemBaseUrl: string;
  /** Further dependencies of `/readyz`. */
  readonly probes: NonNullable<ReadinessDeps['probes']>;
}

export const DEFAULT_API_SETTINGS: ApiSettings = Object.freeze({
  currency: 'EUR',
  problemBaseUrl: '',
  probes: Object.freeze({}),
});

/** A cart of 1,000 lines with a few warehouses each; a settlement of 4,000 placements. */
const CART_BYTES_MAX = 1_048_576;
/** 1,000 lines with costs. */
const STOCK_BYTES_MAX = 524_288;
/** 1,000 SKUs; a description. */
const SMALL_BYTES_MAX = 131_072;

const INVENTORY = '/api/v1/inventory';

/** The routes of one engine, for `startHttpServer`. Throws when a schema cannot be compiled. */
export function apiRoutes(deps: ApiDeps, settings: Partial<ApiSettings> = {}): Route[] {
  const all = { ...DEFAULT_API_SETTINGS, ...settings };
  return [...reservationRoutes(deps, all), ...stockRoutes(deps, all), ...serviceRoutes(deps, all)];
}

function reservationRoutes(deps: ApiDeps, settings: ApiSettings): Route[] {
  const present = createPresenter({
    problemBaseUrl: settings.problemBaseUrl,
    countOutcome: deps.metrics.countOutcome,
  });
  const change = {
    method: 'POST',
    headers: CHANGE_HEADERS,
    body: { limitBytes: CART_BYTES_MAX },
  } as const;
  return [
    {
      ...change,
      body: { ...change.body, repeats: true },
      pattern: `${INVENTORY}/reserve`,
      handle: reserveHandler(deps, present),
    },
    {
      ...{ ...change, isPatient: true, pattern: `${INVENTORY}/commit` },
      handle: commitHandler(deps, present),
    },
    { ...change, pattern: `${INVENTORY}/extend`, handle: extendHandler(deps, present) },
    ...(['release', 'cancel', 'ship'] as const).map((verb) => ({
      ...{ ...change, isPatient: true, pattern: `${INVENTORY}/${verb}` },
      handle: settleHandler(verb, deps, present),
    })),
    {
      method: 'GET',
      pattern: `${INVENTORY}/reservations/{reservation_id}`,
      headers: ['prefer'],
      handle: reservationHandler(deps, present),
    },
  ];
}

function stockRoutes(deps: ApiDeps, settings: ApiSettings): Route[] {
  const { lane, line, pool, directory, watermarks, metrics, policy, skuClasses } = deps;
  const shipDates = new ShipDates();
  const availability = createAvailability({ lane, line, pool, directory, shipDates });
  const { currency } = settings;
  const { countOutcome } = metrics;
  const stores = { lane, pool, directory, watermarks };
  const stock = { ...stores, policy, skuClasses, currency, countOutcome };
  const described = {
    method: 'PUT',
    isPatient: true,
    headers: CHANGE_HEADERS,
    body: { limitBytes: SMALL_BYTES_MAX },
  } as const;
  const moved = {
    method: 'POST',
    isPatient: true,
    headers: CHANGE_HEADERS,
    body: { limitBytes: STOCK_BYTES_MAX },
  } as const;
  return [
    {
      method: 'GET',
      pattern: `${INVENTORY}/{sku_id}/availability`,
      handle: skuAvailabilityHandler(availability),
    },
    {
      method: 'POST',
      pattern: `${INVENTORY}/availability`,
      body: { limitBytes: SMALL_BYTES_MAX },
      handle: availabilityHandler(availability),
    },
    { ...described, pattern: '/api/v1/products/{sku_id}', handle: productHandler(stock) },
    { ...described, pattern: '/api/v1/warehouses/{warehouse_id}', handle: warehouseHandler(stock) },
    { ...moved, pattern: '/api/v1/stock/receive', handle: stockHandler('receive', stock) },
    { ...moved, pattern: '/api/v1/stock/adjust', handle: stockHandler('adjust', stock) },
  ];
}

function serviceRoutes(deps: ApiDeps, settings: ApiSettings): Route[] {
  const accept = { method: 'GET', headers: ['accept'] } as const;
  const ready = { lane: deps.lane, pool: deps.pool, probes: settings.probes };
  return [
    { method: 'GET', pattern: '/healthz', handle: healthHandler() },
    { method: 'GET', pattern: '/readyz', handle: readinessHandler(ready) },
    { method: 'GET', pattern: '/metrics', handle: metricsHandler(deps.metrics) },
    { method: 'GET', pattern: '/openapi.json', handle: openApiHandler(openApiDocument()) },
    { ...accept, pattern: '/problems', handle: problemListHandler() },
    { ...accept, pattern: '/problems/{code}', handle: problemPageHandler() },
  ];
}
