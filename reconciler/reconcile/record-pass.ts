/** Every record of Redis with its row, every row that must be in Redis with its record. */
import { isId } from '../../engine/domain/ids.ts';
import {
  addressOf,
  BUCKETS,
  GENERATIONS_BACK,
  generationOf,
  isWellFormed,
  packId,
} from '../../engine/domain/reservation-id.ts';
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { encodeReference } from './due-element.ts';
import type { DueFilter } from './due-filter.ts';
import type { RecordPlace, StoredRecord } from './facts.ts';
import type { BucketPlace } from './lane-look.ts';
import { inPieces, inScope, Pace, type Run } from './run-context.ts';
import { type SeenRecord, settleRecords } from './settle.ts';

const RECORDS_WANTED = 500;
const BUCKETS_MAX = 500;
const SCAN_COUNT = 1_000;
/** As a reference and an id can name it: two bytes. */
const GENERATION_MAX = 0xffff;
const NO_PLACE = { epoch: 0, seq: 0 };
/** Ahead of the reading of the deadlines by so much, a hold is sure to be in the filter. */
const FRESH_S = 2;

export interface Deadlines {
  readonly filter: DueFilter;
  /** Lane time in s when they began to be read: what was made later is for the next run. */
  readonly readAtS: number;
}

export async function compareRecords(run: Run, deadlines: Deadlines | undefined): Promise<void> {
  if (run.scope.since === undefined) await recordsOfRedis(run, deadlines);
  await recordsOfPostgres(run, deadlines);
}

async function recordsOfRedis(run: Run, deadlines: Deadlines | undefined): Promise<void> {
  const pace = new Pace(RECORDS_WANTED, BUCKETS_MAX);
  const prefix = `${run.look.keys.prefix}hold:`;
  const keys = run.look.scan(`${prefix}*`, SCAN_COUNT);
  for await (const piece of inPieces(keys, () => pace.keys)) {
    run.signal.throwIfAborted();
    const buckets = piece.flatMap((key) => {
      const place = bucketNamed(key, run.look.keys);
      if (place === undefined) {
        const why = 'no bucket of records has this name';
        tellOutOfReach(run, { where: `key ${key}`, redis: 'a key', why, key });
      }
      return place ?? [];
    });
    const look = await run.look.look({ buckets });
    const today = generationOf(look.stamp.timeMs);
    buckets.forEach(({ generation, bucket }, i) => {
      const isHash = look.buckets[i] !== undefined;
      if (!isHash) run.suspects.addNoHash(run.look.keys.hold(generation, bucket));
    });
    const all = buckets.flatMap((at, i) =>
      (look.buckets[i] ?? []).map(({ id, record }) => ({ place: { ...at, id }, redis: record })),
    );
    const seen = all.filter((each) => isWanted(run, each));
    await settleRecords(run, seen, look.stamp, accepts(today));
    for (const each of seen) count(run, each, deadlines);
    pace.learn(buckets.length, all.length);
    run.progress('records of Redis');
  }
}

/** Undefined: it is the name of no bucket, though it may look like one (`hold:007:5`). */
function bucketNamed(key: string, keys: LaneKeys): BucketPlace | undefined {
  const [, generation = 0, bucket = 0] = /:(\d{1,5}):(\d{1,7})$/.exec(key)?.map(Number) ?? [];
  const isDay = generation > 0 && generation <= GENERATION_MAX;
  return isDay && bucket < BUCKETS && keys.hold(generation, bucket) === key
    ? { generation, bucket }
    : undefined;
}

function isWanted(run: Run, { place, redis }: SeenRecord): boolean {
  if (!isNameable(place.id)) {
    const { id, generation, bucket } = place;
    const where = `bucket ${generation}:${bucket}`;
    const redis = `a field ${JSON.stringify(id)}`;
    const why = 'no id has its record under such a field';
    tellOutOfReach(run, { where, redis, why, key: run.look.keys.hold(generation, bucket) });
    return false;
  }
  if (run.scope.skus === undefined) return true;
  if (redis.kind !== 'reservation' || !('lines' in redis.record)) return false;
  return redis.record.lines.some(({ sku }) => inScope(run, sku));
}

/** An entry that named another would not be read by anyone. */
function isNameable(id: string): boolean {
  return isId(id) && isWellFormed(id);
}

interface OutOfReach {
  readonly where: string;
  readonly redis: string;
  readonly why: string;
  readonly key: string;
}

function tellOutOfReach(run: Run, { why, key, ...found }: OutOfReach): void {
  run.suspects.addFinding({
    ...found,
    cause: 'unreadable_record',
    postgres: 'nothing',
    witness: '',
    why: `${why}, so no request can ever ask for what stands there`,
    subject: { kind: 'key', key },
  });
}

/** Differences that somebody can come across: those of live holds, and within the looked-at days. */
function accepts(today: number) {
  return ({ id, generation }: RecordPlace, stored: StoredRecord | undefined): boolean => {
    const isHeld = stored?.kind === 'reservation' && stored.status === 'held';
    return isHeld || generation >= today - daysLookedAt(id, generation);
  };
}

/** A record of an id that names its day is asked for a day longer. */
function daysLookedAt(id: string, generation: number): number {
  const own = addressOf(packId(id)).generation;
  return own === generation ? GENERATIONS_BACK : GENERATIONS_BACK - 1;
}

function count(run: Run, { place, redis }: SeenRecord, deadlines: Deadlines | undefined): void {
  run.counts.records += 1;
  if (redis.kind !== 'reservation' || redis.record.state !== 'held') return;
  run.counts.holds += 1;
  if (deadlines === undefined) return;
  const { deadlineS, createdS } = redis.record;
  if (createdS + FRESH_S >= deadlines.readAtS) return;
  if (!deadlines.filter.has(deadlineS, encodeReference(place))) run.suspects.addRecord(place);
}

interface IdSql {
  readonly id: string;
  readonly generation: number;
}

/** Ids only, from a snapshot of their own; what they are is read again with Redis. */
async function recordsOfPostgres(run: Run, deadlines: Deadlines | undefined): Promise<void> {
  const { since, skus } = run.scope;
  await run.stored.snapshot(NO_PLACE, async (view) => {
    const today = generationOf(view.position.timeMs);
    const changed = '(epoch > $3 OR (epoch = $3 AND seq > $4))';
    const rows = view.pieces<IdSql>(
      `SELECT reservation_id AS id, generation FROM reservations r
       WHERE lane = $1 AND (status = 'held' OR generation >= $2) AND ${changed}
         AND ($5::text[] IS NULL OR EXISTS (
           SELECT FROM reservation_lines l WHERE l.reservation_id = r.reservation_id
             AND l.created_epoch = r.created_epoch AND l.created_seq = r.created_seq
             AND l.sku_id = ANY ($5)))
       UNION ALL
       SELECT operation_id, generation FROM operations
       WHERE lane = $1 AND generation >= $2 AND ${changed} AND $5::text[] IS NULL`,
      [
        ...[run.stored.lane, today - GENERATIONS_BACK, since?.epoch ?? -1, since?.seq ?? -1],
        skus === undefined ? null : [...skus],
      ],
    );
    for await (const piece of rows) {
      run.signal.throwIfAborted();
      await compareIds(run, piece, accepts(today), deadlines);
      run.progress('records of PostgreSQL');
    }
  });
}

async function compareIds(
  run: Run,
  rows: readonly IdSql[],
  accept: ReturnType<typeof accepts>,
  deadlines: Deadlines | undefined,
): Promise<void> {
  const places = rows
    .filter(({ id }) => isNameable(id))
    .map(({ id, generation }) => ({ id, generation, bucket: addressOf(packId(id)).bucket }));
  const look = await run.look.look({ records: places });
  const seen = places.map((place, i) => ({ place, redis: look.records[i] ?? ABSENT }));
  if (run.scope.since === undefined) {
    // The others were compared from the side of Redis.
    const lost = seen.filter(({ redis }) => redis.kind === 'absent');
    if (lost.length > 0) await settleRecords(run, lost, look.stamp, accept);
    return;
  }
  await settleRecords(run, seen, look.stamp, accept);
  for (const each of seen) count(run, each, deadlines);
}

const ABSENT = { kind: 'absent' } as const;
