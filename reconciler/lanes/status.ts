/**
 * How a lane is: what Redis, PostgreSQL and the Sentinels each say of it, asked once. Whoever does not
 * answer is told as a problem, and the rest is told all the same.
 */
import type { Redis } from 'ioredis';
import { type BacklogBound, shareOf } from '../../engine/log/backlog.ts';
import { readBacklog } from '../../engine/log/backlog-look.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { askSentinels, type SentinelOpinion } from '../../engine/redis/sentinel-opinion.ts';
import { needsRecovery, RECOVERY_CAUSES } from '../detect.ts';
import type { Registry, RegistryRow } from '../registry.ts';
import { showTerm } from '../term.ts';
import { type Lag, lagOf, type RedisSide, readRedisSide } from './redis-side.ts';
import { type RecoveryTimeline, readRecoveries } from './timeline.ts';

/**
 *   open         it sells
 *   closed       it needs recovery, and none has begun
 *   recovering   a recovery is under way, or died
 *   refusing     nothing is wrong with it, but Redis takes no writes: too few replicas are in sync
 *   parked       a person has to decide
 *   unreachable  Redis does not answer: nothing can be sold
 */
export const LANE_SITUATIONS = [
  'open',
  'closed',
  'recovering',
  'refusing',
  'parked',
  'unreachable',
] as const;
export type LaneSituation = (typeof LANE_SITUATIONS)[number];

export interface Problem {
  readonly problem: string;
  /** It does answer, and is not what this release can read. */
  readonly answers?: true;
}

export interface PostgresSide {
  readonly registry: RegistryRow['state'];
  /** Timeline and counter, as `1.7`. */
  readonly term: string;
  /** Of the last entry that it has applied. */
  readonly epoch: string;
  readonly seq: number;
  /** That it carries: what is written under a lower one is void. */
  readonly position_term: string;
  /** Why the lane or its persister waits for a person. */
  readonly parked?: string;
}

/** What Redis alone has, because PostgreSQL does not have it yet. */
export interface Backlog {
  readonly entries: number;
  /** Of Redis's memory; estimated. */
  readonly bytes: number;
  /** How long the oldest waits, in lane time. */
  readonly age_s: number;
  /** Of the bound; at 1 nothing new is sold. Missing where no bound is known. */
  readonly share?: number;
}

export interface LaneStatus {
  readonly lane: number;
  readonly state: LaneSituation;
  /** Why it is not open. */
  readonly because?: string;
  readonly redis: RedisSide | Problem;
  readonly postgres: PostgresSide | Problem;
  /** How far the log, and PostgreSQL, are behind Redis; missing where it cannot be told. */
  readonly log_lag?: Lag;
  readonly postgres_lag?: Lag;
  /** Missing while the lane is not open. */
  readonly backlog?: Backlog;
  /** Empty where no Sentinel is used. */
  readonly sentinels: readonly SentinelOpinion[];
  /** The newest first; empty also when they cannot be read. */
  readonly recoveries: readonly RecoveryTimeline[];
  /** Why they cannot, where the registry can. */
  readonly recoveries_problem?: string;
  /** Not part of what is shown. */
  readonly row?: RegistryRow;
}

export interface LaneSources {
  readonly lane: number;
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly redisLocalAddress?: string | undefined;
  readonly pool: Pool;
  readonly registry: Registry;
  readonly recoveriesMax: number;
  /** Of the engines: what the backlog is compared with. */
  readonly logBound?: BacklogBound | undefined;
}

export async function readLaneStatus(sources: LaneSources): Promise<LaneStatus> {
  const { lane, pool, recoveriesMax, redis } = sources;
  const [redisSide, row, sentinels, recoveries] = await Promise.all([
    orProblem(() => readRedisSide(redis, lane)),
    orProblem(() => sources.registry.read(lane)),
    askSentinels(sources.redisUrl, sources.redisLocalAddress),
    orProblem(() => readRecoveries(pool, lane, recoveriesMax)),
  ]);
  const told = isProblem(row) ? undefined : row;
  const { backlog, log_lag, postgres_lag } = await readLags(sources, redisSide, told);
  return {
    lane,
    ...situationOf(redisSide, told),
    redis: redisSide,
    postgres: told === undefined ? (row as Problem) : postgresSide(told),
    ...(log_lag && { log_lag }),
    ...(postgres_lag && { postgres_lag }),
    ...(backlog && { backlog }),
    sentinels,
    ...(isProblem(recoveries)
      ? { recoveries: [], ...(told && { recoveries_problem: recoveries.problem }) }
      : { recoveries }),
    ...(told && { row: told }),
  };
}

export function isProblem(side: object): side is Problem {
  return 'problem' in side;
}

async function orProblem<T extends object>(read: () => Promise<T>): Promise<T | Problem> {
  try {
    return await read();
  } catch (error) {
    return { problem: reasonOf(error) };
  }
}

/** node-postgres gives an AggregateError without a message for a host with several addresses. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Pure. Without PostgreSQL a lane that Redis has open is open: it goes on selling. */
export function situationOf(
  redis: RedisSide | Problem,
  row: RegistryRow | undefined,
): Pick<LaneStatus, 'state' | 'because'> {
  const parked = row?.state === 'parked' ? (row.outcome ?? 'parked') : row?.position.parked;
  if (parked !== undefined) return { state: 'parked', because: parked };
  if (isProblem(redis)) return { state: 'unreachable', because: redis.problem };
  const cause = needsRecovery(redis.tail, row ?? { ...OPEN_AS_TOLD, term: redis.tail.term });
  if (cause === undefined) {
    const { refuses_because } = redis;
    return refuses_because === undefined
      ? { state: 'open' }
      : { state: 'refusing', because: refuses_because };
  }
  const state = row?.state === 'recovering' ? 'recovering' : 'closed';
  return { state, because: RECOVERY_CAUSES[cause] };
}

/** What the registry would say if Redis were right. */
const OPEN_AS_TOLD = { state: 'open', timeline: 0 } as const;

function postgresSide(row: RegistryRow): PostgresSide {
  const { position, outcome, state, term } = row;
  const parked = state === 'parked' ? outcome : position.parked;
  return {
    registry: state,
    term: showTerm(term),
    epoch: showTerm(position.epoch),
    seq: position.seq,
    position_term: showTerm(position.term),
    ...(parked !== undefined && { parked }),
  };
}

async function readLags(
  { lane, logBound, redis }: LaneSources,
  side: RedisSide | Problem,
  row: RegistryRow | undefined,
): Promise<{
  log_lag?: Lag | undefined;
  postgres_lag?: Lag | undefined;
  backlog?: Backlog | undefined;
}> {
  if (isProblem(side)) return {};
  try {
    const [log_lag, postgres_lag, size] = await Promise.all([
      side.logged && lagOf(redis, lane, side.tail, side.logged),
      row && lagOf(redis, lane, side.tail, row.position),
      // Somebody's own entry in the log may not be readable; the lags are all the same.
      readBacklog(redis, lane).catch(() => undefined),
    ]);
    const backlog = size && {
      entries: size.entries,
      bytes: Math.round(size.bytes),
      age_s: Math.round(size.ageMs / 1_000),
      ...(logBound && { share: shareOf(size, logBound) }),
    };
    return { log_lag, postgres_lag, backlog };
  } catch {
    // Redis went away in between, which the next look tells.
    return {};
  }
}
