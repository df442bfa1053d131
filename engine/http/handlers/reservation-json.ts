/**
 * A reservation as JSON text. Written by hand because it is on the path of every reserve: ids have
 * no character that JSON escapes, so text is put together as it stands (a test compares it with
 * JSON.stringify).
 */
import type { DurabilityLevel } from '../../domain/durability.ts';
import { SHARED_POOL, splitCellField } from '../../domain/ids.ts';
import type { Placement, ReservationLine, ReservationRecord } from '../../domain/reservation.ts';
import { isTombstone } from '../../domain/reservation.ts';
import type { LaneStamp } from '../../redis/operation.ts';
import type { CartLine } from '../../reservations/cart.ts';
import { StampedBody } from '../stamped.ts';

/**
 * Writes one reservation. `asked`: the lines of a partial reserve that was just made, so that what
 * it lacks is told line by line, also for a line that got nothing.
 */
export type ReservationWriter = (
  id: string,
  record: ReservationRecord,
  stamp: LaneStamp,
  level: DurabilityLevel,
  asked?: readonly CartLine[],
) => string;

export function createReservationWriter(): ReservationWriter {
  const write = createRestWriter();
  return (id, record, stamp, level, asked) => BEFORE_ID + id + write(record, stamp, level, asked);
}

/** The same for a reservation beside others that differ in their ids only. */
export type ReservationBodies = (
  record: ReservationRecord,
  stamp: LaneStamp,
  level: DurabilityLevel,
) => StampedBody;

/** Of so many SKUs at a time; beyond it all are forgotten, because each is soon made again. */
const KEPT_MAX = 1_024;

/**
 * Keeps the last one of each SKU, of holds and of what became of holds apart, so that a rush for some
 * SKUs is answered with bytes that are there. Of carts with several lines none is like another.
 */
export function createReservationBodies(): ReservationBodies {
  const write = createRestWriter();
  const held = new Map<string, Kept>();
  const settled = new Map<string, Kept>();
  return (record, stamp, level) => {
    const lines = isTombstone(record) ? NO_LINES : record.lines;
    if (lines.length > 1) return new StampedBody(undefined, BEFORE_ID, write(record, stamp, level));
    const place = lines[0]?.sku ?? '';
    const bodies = record.state === 'held' ? held : settled;
    const kept = bodies.get(place);
    if (kept !== undefined && isAlike(kept, record, stamp, level)) return kept.body;
    const body = new StampedBody(undefined, BEFORE_ID, write(record, stamp, level));
    if (bodies.size === KEPT_MAX) bodies.clear();
    bodies.set(place, { record, stamp, level, body });
    return body;
  };
}

interface Kept {
  readonly record: ReservationRecord;
  readonly stamp: LaneStamp;
  readonly level: DurabilityLevel;
  readonly body: StampedBody;
}

const NO_LINES: readonly ReservationLine[] = [];

/** Whether nothing but the id would be written otherwise. */
function isAlike(
  { record, stamp, level }: Kept,
  other: ReservationRecord,
  otherStamp: LaneStamp,
  otherLevel: DurabilityLevel,
): boolean {
  if (level !== otherLevel || stamp.epoch !== otherStamp.epoch) return false;
  if (isTombstone(record) || isTombstone(other)) return record.state === other.state;
  if (record.version !== other.version || !areSame(record.lines, other.lines)) return false;
  if (record.state !== 'held' || other.state !== 'held') return record.state === other.state;
  // What is left of its time depends on the moment: those of one batch have one.
  return stamp === otherStamp && record.deadlineS === other.deadlineS;
}

/** Reserves of one batch that want the same have the same lines, by identity (redis/run-codec.ts). */
function areSame(lines: readonly ReservationLine[], others: readonly ReservationLine[]): boolean {
  if (lines === others) return true;
  const [a] = lines;
  const [b] = others;
  if (a === undefined || b === undefined) return a === b;
  return (
    a.sku === b.sku &&
    a.line === b.line &&
    a.requested === b.requested &&
    a.placements.length === b.placements.length &&
    a.placements.every((placement, i) => {
      const other = b.placements[i];
      return placement.field === other?.field && placement.quantity === other.quantity;
    })
  );
}

const BEFORE_ID = '{"reservation_id":"';

type RestWriter = (
  record: ReservationRecord,
  stamp: LaneStamp,
  level: DurabilityLevel,
  asked?: readonly CartLine[],
) => string;

/** Writes what stands behind the id. */
function createRestWriter(): RestWriter {
  const isoOf = rememberLast((ms) => new Date(ms).toISOString());
  return (record, stamp, level, asked) => {
    const head =
      `","status":"${record.state}",` + `"epoch":${stamp.epoch},"durability":"${level}",`;
    if (isTombstone(record)) return `${head}"lines":[]}`;
    const lines = asked === undefined ? linesJson(record) : partialLinesJson(record, asked);
    if (record.state === 'committed') return `${head}"version":${record.version},"lines":${lines}}`;
    const deadlineMs = record.deadlineS * 1_000;
    const ttlS = Math.max(0, Math.floor((deadlineMs - stamp.timeMs) / 1_000));
    // Wall time: the clock that the client has, too.
    const expiresAt = isoOf(deadlineMs - stamp.offsetMs);
    return (
      `${head}"version":${record.version},"expires_at":"${expiresAt}","ttl_seconds":${ttlS},` +
      `"lines":${lines}}`
    );
  };
}

/** Deadlines are whole seconds, so most answers of a second have the same. */
function rememberLast(make: (ms: number) => string): (ms: number) => string {
  let lastMs = Number.NaN;
  let last = '';
  return (ms) => {
    if (ms !== lastMs) {
      lastMs = ms;
      last = make(ms);
    }
    return last;
  };
}

type LiveRecord = Extract<ReservationRecord, { readonly lines: readonly ReservationLine[] }>;

const HAS = { held: 'reserved', committed: 'allocated' } as const;

function linesJson(record: LiveRecord): string {
  let json = '[';
  for (const line of record.lines) {
    if (json.length > 1) json += ',';
    json += `${lineJson(line, HAS[record.state])}}`;
  }
  return `${json}]`;
}

/** Without its closing brace. */
function lineJson(line: ReservationLine, has: string): string {
  let units = 0;
  let places = '';
  for (const placement of line.placements) {
    units += placement.quantity;
    places += places === '' ? placementJson(placement) : `,${placementJson(placement)}`;
  }
  return (
    `{"line":${line.line},"sku_id":"${line.sku}","requested":${line.requested},` +
    `"${has}":${units},"placements":[${places}]`
  );
}

function placementJson({ field, quantity }: Placement): string {
  if (!field.includes('/')) return `{"warehouse_id":"${field}","quantity":${quantity}}`;
  const { warehouse, pool } = splitCellField(field);
  const poolJson = pool === SHARED_POOL ? '' : `,"pool":"${pool}"`;
  return `{"warehouse_id":"${warehouse}","quantity":${quantity}${poolJson}}`;
}

function partialLinesJson(record: LiveRecord, asked: readonly CartLine[]): string {
  const placed = new Map(record.lines.map((line) => [line.line, line]));
  const lines = asked.map(({ sku, quantity }, index) => {
    const line = placed.get(index) ?? { line: index, sku, requested: quantity, placements: [] };
    const got = line.placements.reduce((sum, placement) => sum + placement.quantity, 0);
    return `${lineJson(line, HAS[record.state])},"missing":${quantity - got}}`;
  });
  return `[${lines.join(',')}]`;
}
