/**
 * How many units of which SKU stand where.
 *
 * The lane answers from Redis, each SKU at one instant. While the lane is closed or cannot be
 * reached, PostgreSQL answers, marked stale, as of the last entry that it has applied. Nothing that
 * is decided rests on that: it is for pages that show stock.
 */
import type { Sku } from '../domain/ids.ts';
import { asSku, cellField, SHARED_POOL, splitCellField } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';
import type { Lane, LaneRefusal } from '../redis/lane-port.ts';
import type { CellView, SkuView } from '../redis/operation.ts';
import type { Line } from '../runtime/line.ts';
import type { WarehouseDirectory } from './directory.ts';
import { type FreshAnswer, FreshReads } from './fresh-reads.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { ShipDates } from './ship-date.ts';

export interface CellAvailability {
  readonly warehouse_id: string;
  /** Absent: the shared pool. */
  readonly pool?: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  /** Null: nothing is there to be shipped, or the warehouse was never described. */
  readonly estimated_ship_date: string | null;
  /** The quantities are not known, and are shown as 0. */
  readonly unreadable?: true;
}

export interface SkuAvailability {
  readonly sku_id: string;
  readonly total_available: number;
  /** Sum of the versions of the cells: it grows with each change. */
  readonly version: number;
  readonly as_of: string;
  readonly stale?: true;
  /** Of a stale one: how long ago `as_of` was. */
  readonly age_ms?: number;
  /** Of some of it Redis has nothing that can be read; `total_available` is without it. */
  readonly unreadable?: true;
  readonly warehouses: readonly CellAvailability[];
}

export interface AvailabilityAnswer {
  readonly known: readonly SkuAvailability[];
  readonly unknown: readonly string[];
  /** Undefined: from Redis, just now. Else the age of the oldest part, ms. */
  readonly staleMs?: number;
}

export interface Availability {
  /**
   * `skus` without repeats. Calls `done` once; what fails, and what `done` throws, goes to `fail`.
   * Not a promise, because a page that shows stock is asked for thousands of times a second.
   */
  read(
    skus: readonly Sku[],
    done: (answer: AvailabilityAnswer | LaneRefusal) => void,
    fail: (error: unknown) => void,
  ): void;
}

export interface AvailabilityDeps {
  readonly lane: Pick<Lane, 'number' | 'nowMs' | 'availability'>;
  /** In which answers are given: each may be of many SKUs. */
  readonly line: Line;
  readonly pool: Pool;
  readonly directory: Pick<WarehouseDirectory, 'get'>;
  readonly shipDates: ShipDates;
}

export function createAvailability(deps: AvailabilityDeps): Availability {
  const { lane, line, pool } = deps;
  const mirror = createMirror({ pool, lane: lane.number });
  const fresh = new FreshReads({
    ...{ lane, line },
    show(reading) {
      const { timeMs, offsetMs } = reading.stamp;
      return toSku(reading, { asOf: new Date(timeMs - offsetMs).toISOString() }, deps);
    },
  });
  return {
    read(skus, done, fail) {
      const tell = (asked: Promise<AvailabilityAnswer | LaneRefusal>): void => {
        asked.then((known) => line.give(() => done(known))).catch(fail);
      };
      const hear = (answer: FreshAnswer<SkuAnswer>): void => {
        if (!('outcome' in answer)) {
          if (answer.some(isBroken)) tell(orMirror(answer, mirror, deps));
          else done(toAnswer(answer));
        } else if (answer.outcome === 'overloaded') {
          // The queue is full: PostgreSQL would be next.
          done(answer);
        } else {
          tell(readStale(skus, answer, mirror, deps));
        }
      };
      fresh.read(skus, hear, fail);
    },
  };
}

function isBroken({ body }: SkuAnswer): boolean {
  return body.unreadable === true;
}

/** With what PostgreSQL has, where it has it, in place of what cannot be read. */
async function orMirror(
  views: readonly SkuAnswer[],
  mirror: Mirror,
  deps: AvailabilityDeps,
): Promise<AvailabilityAnswer> {
  const broken = views.filter(isBroken).map(({ body }) => asSku(body.sku_id));
  const known = await readMirror(broken, mirror, deps).catch(() => undefined);
  return toAnswer(known === undefined ? views : replaced(views, known));
}

/** What PostgreSQL says; when that cannot be had either, the lane's refusal with the reason. */
async function readStale(
  skus: readonly Sku[],
  refusal: LaneRefusal,
  mirror: Mirror,
  deps: AvailabilityDeps,
): Promise<AvailabilityAnswer | LaneRefusal> {
  let views: readonly SkuAnswer[] | undefined;
  try {
    views = await readMirror(skus, mirror, deps);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    const detail = `${sentence(refusal.detail)} Nor could PostgreSQL be asked: ${cause}.`;
    return { ...refusal, detail };
  }
  if (views !== undefined) return toAnswer(views);
  const detail = `${sentence(refusal.detail)} Too many wait for what PostgreSQL knows.`;
  return { ...refusal, outcome: 'overloaded', detail };
}

/** Undefined: too many wait for it. */
async function readMirror(
  skus: readonly Sku[],
  mirror: Mirror,
  deps: AvailabilityDeps,
): Promise<readonly SkuAnswer[] | undefined> {
  const viewOf = await mirror.read(skus);
  if (viewOf === 'overloaded') return undefined;
  return await deps.line.give(() => {
    // Lane time runs beside this clock by an offset that the engine knows from its last reply.
    const nowMs = Date.now();
    const offsetMs = deps.lane.nowMs() - nowMs;
    return skus.map((sku) => {
      const view = viewOf(sku);
      const asOfMs = Math.min(view.laneTimeMs - offsetMs, nowMs);
      const asOf = new Date(asOfMs).toISOString();
      return toSku(view, { asOf, ageMs: nowMs - asOfMs }, deps);
    });
  });
}

/** `views`, with what is known better in its place; a SKU that PostgreSQL does not know stays. */
function replaced(views: readonly SkuAnswer[], known: readonly SkuAnswer[]): SkuAnswer[] {
  const better = new Map(known.flatMap((each) => (each.known ? [[each.body.sku_id, each]] : [])));
  return views.map((view) => better.get(view.body.sku_id) ?? view);
}

/** Of what was read; `asOf` is wall time, ISO 8601. `ageMs` stands with what is stale. */
interface Reading {
  readonly asOf: string;
  readonly ageMs?: number;
}

interface SkuAnswer {
  readonly known: boolean;
  /** Of what is stale, ms. */
  readonly age: number | undefined;
  readonly body: SkuAvailability;
}

function toAnswer(skus: readonly SkuAnswer[]): AvailabilityAnswer {
  const known: SkuAvailability[] = [];
  const unknown: string[] = [];
  let staleMs: number | undefined;
  for (const { known: isKnown, age, body } of skus) {
    if (isKnown) known.push(body);
    else unknown.push(body.sku_id);
    if (age !== undefined) staleMs = Math.max(0, staleMs ?? 0, age);
  }
  return staleMs === undefined ? { known, unknown } : { known, unknown, staleMs };
}

function toSku(
  view: Pick<SkuView, 'sku' | 'known' | 'cells' | 'unreadable'>,
  { asOf, ageMs }: Reading,
  deps: AvailabilityDeps,
): SkuAnswer {
  let total = 0;
  let version = 0;
  for (const cell of view.cells) {
    total += cell.available;
    version += cell.version;
  }
  const body = {
    sku_id: view.sku,
    total_available: total,
    version,
    as_of: asOf,
    ...(ageMs === undefined ? {} : ({ stale: true, age_ms: ageMs } as const)),
    ...(view.unreadable === undefined ? {} : { unreadable: view.unreadable }),
    warehouses: view.cells.map((cell) => toCell(cell, deps)).sort(byPlace),
  };
  return { known: view.known, age: ageMs, body };
}

function toCell(cell: CellView, deps: AvailabilityDeps): CellAvailability {
  const { warehouse: id, pool } = splitCellField(cell.field);
  const warehouse = cell.available > 0 ? deps.directory.get(id) : undefined;
  return {
    warehouse_id: id,
    ...(pool === SHARED_POOL ? {} : { pool }),
    available_qty: cell.available,
    reserved_qty: cell.reserved,
    allocated_qty: cell.allocated,
    estimated_ship_date:
      warehouse === undefined ? null : deps.shipDates.estimate(warehouse, Date.now()),
    ...(cell.unreadable === undefined ? {} : { unreadable: cell.unreadable }),
  };
}

function byPlace(a: CellAvailability, b: CellAvailability): number {
  const left = cellField(a.warehouse_id, a.pool);
  const right = cellField(b.warehouse_id, b.pool);
  return left < right ? -1 : Number(left > right);
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
