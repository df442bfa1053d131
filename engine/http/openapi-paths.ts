/** What the OpenAPI document says of each path: one row an operation, in the order of the README. */
import type { OutcomeName } from '../domain/outcome.ts';
import type { Method } from './router.ts';
import { availabilityRequest, requestSchemas } from './schema.ts';
import { adjustRequest, productRequest, receiveRequest, warehouseRequest } from './schema-stock.ts';

const schemas = requestSchemas();

/** What bodies are called under components/schemas. */
export const BODIES = {
  CartItems: schemas.reserveItems,
  Cart: schemas.reserve,
  Commit: schemas.commit,
  Settlement: schemas.settle,
  Extension: schemas.extend,
  SkuList: availabilityRequest,
  Receipt: receiveRequest.several,
  ReceiptOfOne: receiveRequest.single,
  Adjustment: adjustRequest.several,
  AdjustmentOfOne: adjustRequest.single,
  ProductDescription: productRequest,
  WarehouseDescription: warehouseRequest,
} as const;
export type BodyName = keyof typeof BODIES;

/** Names under components/schemas that answers refer to. */
export type AnswerName =
  | 'Reservation'
  | 'Availability'
  | 'Availabilities'
  | 'Movement'
  | 'Product'
  | 'Warehouse'
  | 'Health'
  | 'Readiness'
  | 'ProblemPage'
  | 'ProblemPages';

export interface OperationRow {
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  readonly tag: 'reservations' | 'stock' | 'service';
  readonly summary: string;
  readonly description?: string;
  /** Several: the body is one of them. */
  readonly bodies?: readonly BodyName[];
  readonly example?: unknown;
  /** Whether `Prefer` and `Idempotency-Key` are read. */
  readonly prefer?: boolean;
  readonly key?: 'required_for_lines' | 'optional';
  /** Whether PostgreSQL answers while Redis cannot, with an Age. */
  readonly mayBeStale?: boolean;
  readonly answers: Readonly<Record<number, AnswerName | 'text' | 'json'>>;
  readonly refusals: readonly OutcomeName[];
}

const STORES: readonly OutcomeName[] = ['fenced', 'overloaded', 'store_unavailable'];
/** Of what is only read, and of what writes to the log, too. */
const AT_A_LEVEL: readonly OutcomeName[] = [
  ...STORES,
  'durability_unknown',
  'invalid_request',
  'durability_unavailable',
];
const DURABLE: readonly OutcomeName[] = ['log_full', ...AT_A_LEVEL];
/** What a script decides on cells and records. */
const ON_STOCK: readonly OutcomeName[] = [...DURABLE, 'unreadable'];
const WON_BY_ANOTHER: readonly OutcomeName[] = ['expired', 'already_released', 'already_closed'];
const HELD = 'hf_512a029c5d8f00000a1b2c0bbadf00d1';

const partial = (verb: string): string =>
  `Without lines: all that there is, and a repeat is harmless. With lines a ${verb} needs an ` +
  'Idempotency-Key, by which a retry is told from a second one.';

const STALE =
  'While the lane is closed or Redis is away the answer comes from PostgreSQL, marked stale, and may ' +
  'be shown again for half a second. 503 when PostgreSQL cannot be asked either, or too many ask it.';

export const OPERATIONS: readonly OperationRow[] = [
  {
    id: 'reserve',
    method: 'POST',
    path: '/api/v1/inventory/reserve',
    tag: 'reservations',
    summary: 'Take units from available to reserved, until a deadline',
    description:
      'The body is a list of items, or an object with items and terms. Lines of the same SKU and ' +
      'the same warehouses are merged. The cart is atomic. Named by an Idempotency-Key or a ' +
      'reservation_id it may be sent again: the same body is answered with the reservation as it ' +
      'now is, another body is refused. A refusal stores nothing, and names the reservation_id ' +
      'under which the same cart may be tried again.',
    bodies: ['Cart', 'CartItems'],
    example: { items: [{ sku_id: 'MUG', quantity: 2 }], order_id: 'A-1001', ttl_seconds: 300 },
    prefer: true,
    key: 'optional',
    answers: { 200: 'Reservation', 201: 'Reservation' },
    refusals: [
      ...ON_STOCK,
      'ids_disagree',
      'id_expired',
      'exists_with_different_payload',
      'limit_exceeded',
      'unknown_sku',
      'unknown_warehouse',
      'insufficient',
    ],
  },
  {
    id: 'commit',
    method: 'POST',
    path: '/api/v1/inventory/commit',
    tag: 'reservations',
    summary: 'Payment is good: reserved units become allocated',
    description:
      'Lines are exactly what becomes allocated, and final: the rest of the hold is freed. The ' +
      'same commit again is a repeat, other lines are already_committed.',
    bodies: ['Commit'],
    example: { reservation_id: HELD },
    prefer: true,
    answers: { 200: 'Reservation' },
    refusals: [
      ...ON_STOCK,
      'undecided',
      'not_found',
      'hold_lost',
      ...WON_BY_ANOTHER,
      'already_committed',
      'exceeds_reservation',
    ],
  },
  {
    id: 'release',
    method: 'POST',
    path: '/api/v1/inventory/release',
    tag: 'reservations',
    summary: 'Give reserved units back',
    description: partial('release'),
    bodies: ['Settlement'],
    example: { reservation_id: HELD },
    prefer: true,
    key: 'required_for_lines',
    answers: { 200: 'Reservation' },
    refusals: [
      ...ON_STOCK,
      'idempotency_key_required',
      'exists_with_different_payload',
      'not_found',
      'out_of_range',
      'expired',
      'already_committed',
      'already_closed',
      'exceeds_reservation',
    ],
  },
  {
    id: 'extend',
    method: 'POST',
    path: '/api/v1/inventory/extend',
    tag: 'reservations',
    summary: 'Move the deadline of a hold',
    description:
      'To ttl_seconds from now, and never beyond the maximum age of a hold. A deadline is never ' +
      'moved nearer: then the answer is the hold as it is.',
    bodies: ['Extension'],
    example: { reservation_id: HELD, ttl_seconds: 600 },
    prefer: true,
    answers: { 200: 'Reservation' },
    refusals: [
      ...ON_STOCK,
      'not_found',
      ...WON_BY_ANOTHER,
      'already_committed',
      'extend_limit_reached',
    ],
  },
  ...(['cancel', 'ship'] as const).map(
    (verb): OperationRow => ({
      id: verb,
      method: 'POST',
      path: `/api/v1/inventory/${verb}`,
      tag: 'reservations',
      summary:
        verb === 'cancel'
          ? 'Call a committed order off: allocated units are available again'
          : 'Allocated units leave the building',
      description: partial(verb),
      bodies: ['Settlement'],
      example: { reservation_id: HELD },
      prefer: true,
      key: 'required_for_lines',
      answers: { 200: 'Reservation' },
      refusals: [
        ...ON_STOCK,
        'idempotency_key_required',
        'exists_with_different_payload',
        'not_found',
        'out_of_range',
        ...WON_BY_ANOTHER,
        'not_committed',
        'exceeds_reservation',
      ],
    }),
  ),
  {
    id: 'getReservation',
    method: 'GET',
    path: '/api/v1/inventory/reservations/{reservation_id}',
    tag: 'reservations',
    summary: 'A reservation as it now is',
    description:
      'Also after its record has left Redis. What is committed is shown once that is sure.',
    prefer: true,
    answers: { 200: 'Reservation' },
    refusals: [...AT_A_LEVEL, 'unreadable', 'not_found'],
  },
  {
    id: 'getAvailability',
    method: 'GET',
    path: '/api/v1/inventory/{sku_id}/availability',
    tag: 'stock',
    summary: 'How many units of a SKU stand where',
    description: STALE,
    mayBeStale: true,
    answers: { 200: 'Availability' },
    refusals: [...STORES, 'invalid_request', 'unknown_sku'],
  },
  {
    id: 'getAvailabilities',
    method: 'POST',
    path: '/api/v1/inventory/availability',
    tag: 'stock',
    summary: 'Availability of many SKUs',
    description:
      'Each SKU is as it was at one instant, its as_of. Where the SKUs stand in thousands of warehouses ' +
      `together, not all are of the same one. ${STALE}`,
    mayBeStale: true,
    bodies: ['SkuList'],
    example: { sku_ids: ['MUG', 'CUP'] },
    answers: { 200: 'Availabilities' },
    refusals: [...STORES, 'invalid_request'],
  },
  {
    id: 'receiveStock',
    method: 'POST',
    path: '/api/v1/stock/receive',
    tag: 'stock',
    summary: 'Units have come',
    description: 'All lines or none. A line may also stand alone, without lines.',
    bodies: ['Receipt', 'ReceiptOfOne'],
    example: {
      reason: 'purchase',
      reference: { type: 'purchase_order', id: 'PO-77' },
      lines: [
        { sku_id: 'MUG', warehouse_id: 'LON', quantity: 500, unit_cost: '2.35', currency: 'GBP' },
      ],
    },
    prefer: true,
    key: 'optional',
    answers: { 200: 'Movement' },
    refusals: [
      ...ON_STOCK,
      'exists_with_different_payload',
      'unknown_sku',
      'unknown_warehouse',
      'out_of_range',
    ],
  },
  {
    id: 'adjustStock',
    method: 'POST',
    path: '/api/v1/stock/adjust',
    tag: 'stock',
    summary: 'A count, a loss or a find corrects what is available',
    description: 'All lines or none. A line may also stand alone, without lines.',
    bodies: ['Adjustment', 'AdjustmentOfOne'],
    example: { sku_id: 'MUG', warehouse_id: 'LON', quantity: -2, reason: 'damage' },
    prefer: true,
    key: 'optional',
    answers: { 200: 'Movement' },
    refusals: [
      ...ON_STOCK,
      'exists_with_different_payload',
      'unknown_sku',
      'unknown_warehouse',
      'out_of_range',
      'insufficient',
    ],
  },
  {
    id: 'putProduct',
    method: 'PUT',
    path: '/api/v1/products/{sku_id}',
    tag: 'stock',
    summary: 'Describe a product, and make its SKU known',
    description: 'The whole description: what is left out is cleared.',
    bodies: ['ProductDescription'],
    example: { name: 'Mug', weight_g: 350 },
    prefer: true,
    answers: { 200: 'Product', 201: 'Product' },
    refusals: DURABLE,
  },
  {
    id: 'putWarehouse',
    method: 'PUT',
    path: '/api/v1/warehouses/{warehouse_id}',
    tag: 'stock',
    summary: 'Describe a warehouse',
    description: 'The whole description: what is left out takes its default.',
    bodies: ['WarehouseDescription'],
    example: { name: 'London', time_zone: 'Europe/London', cut_off: '15:00', handling_days: 1 },
    answers: { 200: 'Warehouse', 201: 'Warehouse' },
    refusals: ['overloaded', 'store_unavailable', 'invalid_request'],
  },
  {
    id: 'health',
    method: 'GET',
    path: '/healthz',
    tag: 'service',
    summary: 'This process answers',
    answers: { 200: 'Health' },
    refusals: [],
  },
  {
    id: 'readiness',
    method: 'GET',
    path: '/readyz',
    tag: 'service',
    summary: 'This engine has something to answer: send requests here',
    description:
      '503 only when neither Redis nor PostgreSQL can be reached from here. A closed lane is `degraded`, with 200: ' +
      'it is closed for every engine, and each still shows stock and says when to come again.',
    answers: { 200: 'Readiness', 503: 'Readiness' },
    refusals: [],
  },
  {
    id: 'metrics',
    method: 'GET',
    path: '/metrics',
    tag: 'service',
    summary: 'Metrics in the text format of Prometheus',
    answers: { 200: 'text' },
    refusals: [],
  },
  {
    id: 'openapi',
    method: 'GET',
    path: '/openapi.json',
    tag: 'service',
    summary: 'This document',
    answers: { 200: 'json' },
    refusals: [],
  },
  {
    id: 'getProblems',
    method: 'GET',
    path: '/problems',
    tag: 'service',
    summary: 'Every problem that the API may answer',
    answers: { 200: 'ProblemPages' },
    refusals: [],
  },
  {
    id: 'getProblem',
    method: 'GET',
    path: '/problems/{code}',
    tag: 'service',
    summary: 'What a problem means and what to do',
    answers: { 200: 'ProblemPage' },
    refusals: [],
  },
];
