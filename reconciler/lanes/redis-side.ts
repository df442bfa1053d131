/** What Redis says of a lane: its meta, its replicas, and how far others are behind it. */
import type { Redis } from 'ioredis';
import { ByteReader } from '../../engine/events/bytes.ts';
import { comparePlaces, type Place } from '../../engine/log/place.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import type { LaneTail } from '../../engine/redis/lane-state.ts';
import { showTerm } from '../term.ts';

export interface ReplicaView {
  readonly address: string;
  /** `online`, or how far its first copy is: `wait_bgsave`, `send_bulk`. */
  readonly link: string;
  readonly offset: number;
  /** Of the replication stream. */
  readonly behind_bytes: number;
  /** Since it confirmed anything. */
  readonly silent_s: number;
}

export interface RedisSide {
  /** Of the node that answered. */
  readonly address: string;
  readonly role: string;
  readonly replid: string;
  readonly offset: number;
  readonly replicas: readonly ReplicaView[];
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
  const [tail, info, logged] = await Promise.all([
    state.tail(NO_ENTRIES, 1),
    redis.info('replication'),
    redis.hget(laneKeys(lane).marks, 'logged'),
  ]);
  const place = readPlace(logged);
  return {
    address: state.address(),
    ...readReplication(info),
    ...(tail.exists && { epoch: showTerm(tail.last.epoch), seq: tail.last.seq }),
    tail,
    ...(place && { logged: place }),
  };
}

/** Of INFO's section `replication`. */
export function readReplication(
  info: string,
): Pick<RedisSide, 'role' | 'replid' | 'offset' | 'replicas'> {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const offset = Number(field('master_repl_offset'));
  const replicas = [...info.matchAll(/^slave\d+:(.*?)\r?$/gm)].map(([, text = '']) => {
    const parts = new Map(text.split(',').map((part) => part.split('=', 2) as [string, string]));
    const reached = Number(parts.get('offset') ?? 0);
    return {
      address: `${parts.get('ip')}:${parts.get('port')}`,
      link: parts.get('state') ?? 'unknown',
      offset: reached,
      behind_bytes: Math.max(0, offset - reached),
      silent_s: Number(parts.get('lag') ?? 0),
    };
  });
  return { role: field('role'), replid: field('master_replid'), offset, replicas };
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
