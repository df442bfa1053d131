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

/**
 * Keeps the last one: reserves that want the same are answered with the same lines, by identity,
 * and one stamp (redis/run-codec.ts).
 */
export function createReservationBodies(): ReservationBodies {
  const write = createRestWriter();
  let last: Parameters<ReservationBodies> | undefined;
  let body = new StampedBody(undefined, '', '');
  return (record, stamp, level) => {
    if (last === undefined || !isAlike(last, record, stamp, level)) {
      body = new StampedBody(undefined, BEFORE_ID, write(record, stamp, level));
      last = [record, stamp, level];
    }
    return body;
  };
}

function isAlike(
  [record, stamp, level]: Parameters<ReservationBodies>,
  other: ReservationRecord,
  otherStamp: LaneStamp,
  otherLevel: DurabilityLevel,
): boolean {
  return (
    stamp === otherStamp &&
    level === otherLevel &&
    record.state === 'held' &&
    other.state === 'held' &&
    record.lines === other.lines &&
    record.deadlineS === other.deadlineS &&
    record.version === other.version
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
