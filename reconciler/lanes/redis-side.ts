/** What Redis says of a lane: its meta, what the node is, and how far others are behind it. */
import type { Redis } from 'ioredis';
import { ByteReader } from '../../engine/events/bytes.ts';
import { comparePlaces, type Place } from '../../engine/log/place.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import type { LaneTail } from '../../engine/redis/lane-state.ts';
import { showTerm } from '../term.ts';
import { type Replication, readReplication } from './replication.ts';

export interface RedisSide extends Replication {
  /** Of the node that answered. */
  readonly address: string;
  /** Timeline and counter; missing while Redis knows nothing of the lane. */
  readonly epoch?: string;
  readonly seq?: number;
  /** Not part of what is shown. */
  readonly tail: Omit<LaneTail, 'entries'>;
  readonly logged?: Place;
}

export interface Lag {
  readonly entries: number;
  /** There are more entries than were counted. */
  readonly at_least?: true;
  /** Lane time; missing where the entry has left the stream. */
  readonly ms?: number;
}

const NO_ENTRIES: Place = { epoch: Number.MAX_SAFE_INTEGER, seq: 0 };
/** Entries that are counted one by one, where the two ends are of different epochs. */
const COUNTED_MAX = 10_000;
/** Format, kind, own key and predecessor's: 2 + 2 * 24 bytes stand ahead of an entry's time. */
const TIME_AT = 50;

export async function readRedisSide(redis: Redis, lane: number): Promise<RedisSide> {
  const state = laneScripts(redis, lane);
  const [tail, replication, logged] = await Promise.all([
    state.tail(NO_ENTRIES, 1),
    readReplication(redis),
    redis.hget(laneKeys(lane).marks, 'logged'),
  ]);
  const place = readPlace(logged);
  return {
    address: state.address(),
    ...replication,
    ...(tail.exists && { epoch: showTerm(tail.last.epoch), seq: tail.last.seq }),
    tail,
    ...(place && { logged: place }),
  };
}

function readPlace(mark: string | null): Place | undefined {
  const [epoch, seq] = (mark ?? '').split(' ').map(Number);
  return epoch === undefined || seq === undefined ? undefined : { epoch, seq };
}

/** How far `place` is behind the lane's last entry. */
export async function lagOf(
  redis: Redis,
  lane: number,
  { last, timeMs }: Pick<LaneTail, 'last' | 'timeMs'>,
  place: Place & { readonly timeMs?: number },
): Promise<Lag> {
  if (comparePlaces(place, last) >= 0) return { entries: 0, ms: 0 };
  const counted = await countBehind(redis, lane, last, place);
  const reachedMs = place.timeMs ?? (await timeOf(redis, lane, place));
  return {
    ...counted,
    ...(reachedMs !== undefined && { ms: Math.max(0, timeMs - reachedMs) }),
  };
}

/** Within an epoch seq counts; over its border only the stream knows how many there were. */
async function countBehind(
  redis: Redis,
  lane: number,
  last: Place,
  place: Place,
): Promise<Pick<Lag, 'entries' | 'at_least'>> {
  if (place.epoch === last.epoch) return { entries: last.seq - place.seq };
  const from = `(${place.epoch}-${place.seq}`;
  const found = await redis.xrange(laneKeys(lane).log, from, '+', 'COUNT', COUNTED_MAX);
  return { entries: found.length, ...(found.length === COUNTED_MAX && { at_least: true }) };
}

async function timeOf(redis: Redis, lane: number, { epoch, seq }: Place) {
  const id = `${epoch}-${seq}`;
  const found = await redis.xrangeBuffer(laneKeys(lane).log, id, id);
  const bytes = found[0]?.[1][1];
  return bytes === undefined ? undefined : new ByteReader(bytes, TIME_AT).i64();
}
