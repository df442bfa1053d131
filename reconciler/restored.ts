/**
 * A PostgreSQL that was restored from a backup has forgotten two things that the others have not: what
 * came after the backup, and which terms were given since. This is the planned fence that makes it
 * safe to go on.
 *
 * Terms are why it needs one. A dump brings the registry back as it was, on the same timeline, so the
 * next recovery would take a number that was given before: its fence may stand in the log already,
 * from the first time, and what is written behind it under still newer terms would be believed as
 * well. Recovery would open on the state of long ago, beside the log. So, while the lane is parked and
 * recovery keeps its hands off it:
 *
 *   1 park       no watcher touches the lane, in whichever order processes are started
 *   2 decide     pure: can PostgreSQL read on where it was, or is the log to be begun anew
 *   3 catch up   the persister applies what the log has, which also brings the highest term of the log
 *   4 number on  the registry's term becomes the highest of registry, log and Redis; recovery may come
 *
 * A failure leaves the lane parked; the command is safe to repeat.
 */
import type { Pool } from '../engine/postgres/pool.ts';
import { type LanePosition, readPosition } from '../engine/postgres/position.ts';
import type { LaneTail } from '../engine/redis/lane-state.ts';
import { showTerm } from './term.ts';

/** What stands beside the restored PostgreSQL. */
export interface Surroundings {
  readonly position: LanePosition;
  readonly redis: Pick<LaneTail, 'exists' | 'term'>;
  /** Undefined: the log is embedded in Redis. */
  readonly log?: { readonly first: bigint; readonly next: bigint };
}

export type RestorePlan =
  /** Nothing is lost: the log has what came after the backup. Up to this offset; embedded: none. */
  | { readonly kind: 'read_on'; readonly until?: bigint }
  /** Back to the backup: what came after it is given up. */
  | { readonly kind: 'begin_anew' }
  | { readonly kind: 'refuse'; readonly reason: string };

export function planRestore(seen: Surroundings, isLogDiscarded: boolean): RestorePlan {
  return isLogDiscarded ? planAnew(seen) : planReadOn(seen);
}

function planReadOn({ position, log }: Surroundings): RestorePlan {
  if (log === undefined) return { kind: 'read_on' };
  if (position.offset > log.next) {
    return refuse(
      `PostgreSQL has read up to ${position.offset}, the log ends at ${log.next}: it is another log, or a new one. ` +
        'Name the right one (KAFKA_BROKERS, HOLDFAST_LOG_TOPIC), or give up what came after the backup: --discard-log',
    );
  }
  if (position.offset < log.first) {
    return refuse(
      `PostgreSQL has read up to ${position.offset}, the log begins at ${log.first}: what lies between is gone. ` +
        'Restore a younger backup, or give up what came after this one: --discard-log',
    );
  }
  return { kind: 'read_on', until: log.next };
}

function planAnew({ redis, log }: Surroundings): RestorePlan {
  if (redis.exists) {
    return refuse('Redis still holds the lane as it was later: empty it first (redis-cli FLUSHDB)');
  }
  if (log !== undefined && log.next > 0n) {
    return refuse(
      `the log holds ${log.next - log.first} records of the time that is to be given up: name a new topic in HOLDFAST_LOG_TOPIC, for all processes`,
    );
  }
  return { kind: 'begin_anew' };
}

function refuse(reason: string): RestorePlan {
  return { kind: 'refuse', reason };
}

export async function parkForRestore(pool: Pool, lane: number): Promise<void> {
  await pool.query(
    `UPDATE lanes SET state = 'parked', updated_at = clock_timestamp() WHERE lane = $1`,
    [lane],
  );
}

/** The log begins at its first record for PostgreSQL, and nothing of before is waited for. */
export async function beginLogAnew(pool: Pool, lane: number): Promise<void> {
  await pool.query('UPDATE positions SET log_offset = 0, parked = NULL WHERE lane = $1', [lane]);
}

export interface NumberedOn {
  readonly position: LanePosition;
  /** No number up to this one is given again. */
  readonly term: number;
}

/** The last step: the lane may be recovered, under a number that nobody has seen. */
export async function numberOn(pool: Pool, lane: number, redisTerm: number): Promise<NumberedOn> {
  const { rows } = await pool.query<{ term: number }>(
    `UPDATE lanes l SET term = greatest(l.term, p.term, p.epoch, $2::bigint), state = 'recovering',
       updated_at = clock_timestamp()
     FROM positions p WHERE p.lane = l.lane AND l.lane = $1
     RETURNING l.term`,
    [lane, redisTerm],
  );
  const term = rows[0]?.term;
  if (term === undefined) throw new Error(`the registry has no lane ${lane}: run holdfast migrate`);
  return { position: await readPosition(pool, lane), term };
}

export function showNumberedOn({ position, term }: NumberedOn): string {
  return `PostgreSQL is at ${showTerm(position.epoch)}-${position.seq}; the next recovery is numbered above ${showTerm(term)}`;
}
