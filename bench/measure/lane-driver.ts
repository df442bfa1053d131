/** A lane without HTTP before it: opened on an emptied Redis, and kept full of reserves. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import { NEVER } from '../../engine/events/entry.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import {
  type IdKind,
  joinLane,
  type LaneSession,
  nextId,
  reserveOperation,
  type SessionLimits,
} from './lane-session.ts';

export interface DrivenLane {
  /** Sends so many reserves of one unit, in full batches; throws when one is not accepted. */
  readonly reserve: (count: number) => Promise<void>;
  /** Commits as many of those reservations, the oldest first; throws when one is not accepted. */
  readonly commit: (count: number) => Promise<void>;
  /** Units that stand as reserved in all cells. */
  reserved(): Promise<number>;
  /** Batches and operations since the beginning. */
  sent(): { readonly batches: number; readonly operations: number };
}

const TERM = 2 ** 32 + 1;
const LANE = 0;
const FIELD = 'A' as CellField;
const TTL_S = 3_600;
const UNITS = 1_000_000_000;

/** The Redis is emptied: it must be the bench's own. */
export async function driveLane(
  redis: Redis,
  options: { readonly batch: number; readonly skus: number; readonly ids?: IdKind },
): Promise<DrivenLane> {
  const session = await openEmptyLane(redis, options);
  const kind = options.ids ?? 'made';
  const skus = Array.from({ length: options.skus }, (_, i) => `SKU-${i}` as Sku);
  await session.define(skus);
  await session.receive(skus.map((sku) => ({ sku, field: FIELD, units: UNITS })));
  let next = 0;
  const held: Buffer[] = [];
  return {
    sent: () => session.sent(),
    reserve: (count) =>
      session.submit({
        count,
        wanted: 'created',
        operation: () => {
          const sku = skus[next % skus.length] ?? ('' as Sku);
          const id = nextId(session, kind, next++);
          held.push(id);
          return reserveOperation(id, sku, [FIELD], TTL_S);
        },
      }),
    commit: (count) => {
      const ids = held.splice(0, count);
      return session.submit({
        count,
        wanted: 'committed',
        operation: (i) => ({ kind: 'commit', id: ids[i] ?? Buffer.alloc(0), attributes: '' }),
      });
    },
    reserved: async () => (await session.balances(skus)).reserved,
  };
}

/** Empties the Redis, which must be the bench's own, and opens its lane as recovery would. */
export async function openEmptyLane(redis: Redis, limits: SessionLimits): Promise<LaneSession> {
  await redis.flushall('SYNC');
  const state = laneScripts(redis, LANE);
  const claim = await state.claim(TERM);
  if (!claim.claimed) throw new Error('the Redis of the bench is claimed by somebody else');
  const opened = await state.open(TERM, claim.replid, NEVER, randomBytes(8), 0);
  if (opened !== 'done') throw new Error(`the lane was not opened: ${opened}`);
  return await joinLane(redis, limits);
}
