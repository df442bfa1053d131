/**
 * Stock operations: units that come (receive) or that a count, a loss or a find corrects (adjust).
 *
 * Path of one: the warehouses are looked up, the lane applies all lines or none and logs them with
 * their attributes, the answer waits until PostgreSQL has the movements (unless the request prefers
 * less), and names them. Under an Idempotency-Key the same operation again changes nothing and
 * answers with the balances as they now are.
 */
import { randomBytes } from 'node:crypto';
import type { DurabilityLevel } from '../domain/durability.ts';
import { asSku, cellField } from '../domain/ids.ts';
import { digestId, packId } from '../domain/reservation-id.ts';
import type { StockKind } from '../events/entry.ts';
import type { Pool } from '../postgres/pool.ts';
import type { Lane, LaneRefusal, StockResult, Watermarks } from '../redis/lane-port.ts';
import { isRefusal } from '../redis/lane-port.ts';
import type { CellView, LaneStamp, Shortage, StockOperation } from '../redis/operation.ts';
import { digest64 } from './digest.ts';
import type { WarehouseDirectory } from './directory.ts';

export interface MovementLine {
  readonly sku: string;
  readonly warehouse: string;
  /** Units that come; negative: that go. Never 0. */
  readonly delta: number;
  /** Decimal text. */
  readonly unitCost: string | undefined;
  readonly currency: string | undefined;
}

export interface MovementRequest {
  readonly kind: StockKind;
  readonly lines: readonly MovementLine[];
  readonly reason: string | undefined;
  readonly referenceType: string | undefined;
  readonly referenceId: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly level: DurabilityLevel;
}

export interface MovementDeps {
  readonly lane: Lane;
  readonly watermarks: Watermarks;
  readonly pool: Pool;
  readonly directory: WarehouseDirectory;
}

export type MovementAnswer =
  | {
      readonly kind: 'applied';
      readonly id: string;
      readonly replayed: boolean;
      readonly level: DurabilityLevel;
      readonly stamp: LaneStamp;
      /** A cell a line, in their order. */
      readonly cells: readonly (CellView & { readonly sku: string })[];
      /** A movement a line; undefined: of a replay whose first answer PostgreSQL does not show yet. */
      readonly movementIds: readonly string[] | undefined;
    }
  | {
      readonly kind: 'rejected';
      readonly id: string;
      readonly outcome: Exclude<StockResult['outcome'], 'applied'> | 'unknown_warehouse';
      readonly shortages: readonly Shortage[];
    }
  | { readonly kind: 'refused'; readonly id: string; readonly refusal: LaneRefusal }
  | { readonly kind: 'level_missed'; readonly id: string; readonly level: DurabilityLevel };

const SCOPE = 'stock';

/** Rejects when a warehouse is not cached and PostgreSQL cannot be asked: nothing was changed. */
export async function moveStock(
  request: MovementRequest,
  deps: MovementDeps,
): Promise<MovementAnswer> {
  const { idempotencyKey: key, lines, level } = request;
  const id = key === undefined ? freshId() : digestId('op_', SCOPE, key);
  const found = await deps.directory.find([...new Set(lines.map((line) => line.warehouse))]);
  const unknown = lines.flatMap(({ warehouse }, line) =>
    found.has(warehouse) ? [] : [{ line, available: 0 }],
  );
  if (unknown.length > 0) {
    return { kind: 'rejected', id, outcome: 'unknown_warehouse', shortages: unknown };
  }
  const operation = toOperation(request, id, key === undefined);
  const answer = await deps.lane.stock(operation);
  if (isRefusal(answer)) return { kind: 'refused', id, refusal: answer };
  if (answer.outcome !== 'applied') {
    const { outcome, shortages = [] } = answer;
    return { kind: 'rejected', id, outcome, shortages };
  }
  const reached = await new Promise<boolean>((resolve) => {
    deps.watermarks.wait(level, answer.stamp, resolve);
  });
  if (!reached) return { kind: 'level_missed', id, level };
  const { replayed, stamp, cells } = answer;
  const entry = replayed ? await findEntry(id, deps.pool) : stamp;
  const movementIds =
    entry && lines.map((_, index) => `${deps.lane.number}-${entry.epoch}-${entry.seq}-${index}`);
  return { kind: 'applied', id, replayed, level, stamp, cells, movementIds };
}

function freshId(): string {
  return `op_${randomBytes(16).toString('hex')}`;
}

function toOperation(request: MovementRequest, id: string, fresh: boolean): StockOperation {
  const attributes = movementAttributes(request);
  const lines = request.lines.map(({ sku, warehouse, delta }) => ({
    sku: asSku(sku),
    field: cellField(warehouse),
    delta,
  }));
  const text = lines.map(({ sku, field, delta }) => `${sku},${field},${delta}`).join(';');
  return {
    kind: request.kind,
    id: packId(id),
    fresh,
    fingerprint: digest64(`${request.kind}:${text}|${attributes}`),
    attributes,
    lines,
  };
}

/** JSON for the log (events/entry.ts: StockMoved); '' when there is nothing to say. */
export function movementAttributes(request: MovementRequest): string {
  const { reason, referenceType, referenceId, lines } = request;
  const attributes = {
    ...(reason === undefined ? {} : { reason }),
    ...(referenceType === undefined ? {} : { reference_type: referenceType }),
    ...(referenceId === undefined ? {} : { reference_id: referenceId }),
    ...(lines.some((line) => line.unitCost !== undefined) ? { lines: lines.map(costOf) } : {}),
  };
  return Object.keys(attributes).length === 0 ? '' : JSON.stringify(attributes);
}

function costOf({ unitCost, currency }: MovementLine): Record<string, string> {
  if (unitCost === undefined || currency === undefined) return {};
  return { unit_cost: unitCost, currency };
}

/** The entry that first applied the operation; undefined when PostgreSQL has or says nothing. */
async function findEntry(
  id: string,
  pool: Pool,
): Promise<{ epoch: number; seq: number } | undefined> {
  try {
    const { rows } = await pool.query<{ epoch: number; seq: number }>(
      `SELECT epoch, seq FROM operations WHERE operation_id = $1
       ORDER BY epoch DESC, seq DESC LIMIT 1`,
      [id],
    );
    return rows[0];
  } catch {
    return undefined;
  }
}
