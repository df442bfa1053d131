/** One look at a lane's backlog: two round trips of small commands, and nothing that blocks Redis. */
import type { Redis } from 'ioredis';
import { ByteReader } from '../events/bytes.ts';
import { laneKeys } from '../redis/keys.ts';
import type { BacklogSize } from './backlog.ts';
import { BacklogBook, type BacklogLook } from './backlog-book.ts';

/** Of the entries since the look before; at the first look, of all that wait. */
const SAMPLES_MAX = 4;
const FIRST_SAMPLES_MAX = 32;
/** Format, kind, own key and predecessor's: 2 + 2 * 24 bytes stand ahead of an entry's time. */
const TIME_AT = 50;
const TIME_BYTES = 8;

interface Ends {
  readonly epoch: number;
  readonly seq: number;
  readonly persistedSeq: number;
  /** Lane time. */
  readonly nowMs: number;
}

/**
 * Undefined while the lane is not open: then nothing is written, and what it shows is recovery's.
 * `sampledTo`: of an epoch, the last entry whose size was asked for.
 */
export async function lookAtBacklog(
  redis: Redis,
  lane: number,
  sampledTo: (epoch: number) => number,
): Promise<BacklogLook | undefined> {
  const ends = await readEnds(redis, lane);
  if (ends === undefined) return undefined;
  const { epoch, seq, persistedSeq, nowMs } = ends;
  const known = sampledTo(epoch);
  const wanted = placesOf(
    Math.max(known, persistedSeq),
    seq,
    known === 0 ? FIRST_SAMPLES_MAX : SAMPLES_MAX,
  );
  const atMs = performance.now();
  if (seq <= persistedSeq) {
    return { epoch, seq, persistedSeq, laneAgeMs: undefined, samples: [], atMs };
  }
  const places = [persistedSeq + 1, ...wanted];
  const [oldest, ...rest] = await readEntries(redis, lane, epoch, places);
  const samples = rest.flatMap((entry) => (entry === undefined ? [] : [entry.length]));
  const laneAgeMs = oldest && ageOf(oldest, nowMs);
  return { epoch, seq, persistedSeq, laneAgeMs, samples, atMs };
}

/** Undefined for what is too short to be an entry of ours: whoever consumes the log says so. */
function ageOf(entry: Buffer, nowMs: number): number | undefined {
  if (entry.length < TIME_AT + TIME_BYTES) return undefined;
  return Math.max(0, nowMs - new ByteReader(entry, TIME_AT).i64());
}

/** From one look, by who has no bound to keep; undefined while the lane is not open. */
export async function readBacklog(redis: Redis, lane: number): Promise<BacklogSize | undefined> {
  const look = await lookAtBacklog(redis, lane, () => 0);
  if (look === undefined) return undefined;
  const unbound = Number.POSITIVE_INFINITY;
  const book = new BacklogBook({ bytesMax: unbound, ageMsMax: unbound });
  book.learn(look);
  return book.size;
}

/** Evenly spread over those behind `from`, the last one among them. */
function placesOf(from: number, to: number, most: number): number[] {
  const count = Math.min(Math.max(0, to - from), most);
  return Array.from({ length: count }, (_, i) => from + Math.ceil(((to - from) * (i + 1)) / count));
}

async function readEnds(redis: Redis, lane: number): Promise<Ends | undefined> {
  const { marks, meta } = laneKeys(lane);
  const replies = await redis
    .pipeline()
    .hmget(meta, 'state', 'epoch', 'seq', 'time', 'offset')
    .hget(marks, 'persisted')
    .time()
    .exec();
  const [fields, mark, clock] = resultsOf(replies);
  const [state, epoch, seq, time, offset] = fields as (string | null)[];
  if (state !== 'open') return undefined;
  const [markedEpoch, markedSeq] = (typeof mark === 'string' ? mark : '0 0').split(' ').map(Number);
  const [seconds, micros] = (clock as unknown[]).map(Number);
  const tickingMs = (seconds ?? 0) * 1_000 + Math.floor((micros ?? 0) / 1_000) + Number(offset);
  return {
    epoch: Number(epoch),
    seq: Number(seq),
    // A mark of an epoch before says nothing of this one, which PostgreSQL began with all of that.
    persistedSeq: markedEpoch === Number(epoch) ? (markedSeq ?? 0) : 0,
    nowMs: Math.max(Number(time), tickingMs),
  };
}

async function readEntries(
  redis: Redis,
  lane: number,
  epoch: number,
  places: readonly number[],
): Promise<(Buffer | undefined)[]> {
  const { log } = laneKeys(lane);
  const pipeline = redis.pipeline();
  for (const place of places) pipeline.xrangeBuffer(log, `${epoch}-${place}`, `${epoch}-${place}`);
  const found = resultsOf(await pipeline.exec()) as [Buffer, Buffer[]][][];
  return found.map((entries) => entries[0]?.[1][1]);
}

function resultsOf(replies: [Error | null, unknown][] | null): unknown[] {
  return (replies ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
