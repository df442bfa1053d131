/**
 * The registry of lanes in PostgreSQL: which term is the newest, and whether it is open. Every
 * change is a compare-and-set, so any number of recoveries may try and one wins.
 *
 *   new          no recovery was ever started
 *   recovering   its term belongs to a recovery that is under way, or that died
 *   open         its term is the epoch of the lane; meta in Redis opens after this, never before
 *   parked       recovery found what it must not decide; a person does, then `unpark`
 *
 * True in all of them: the term never goes back, and no number is given to two recoveries; one that
 * fails has burnt its own.
 */
import type { EntryKey } from '../engine/events/entry.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import type { LanePosition } from '../engine/postgres/position.ts';
import { findTimelineSource, type TimelineSource } from '../engine/postgres/timeline.ts';
import { termAfter, timelineOf } from './term.ts';

export const LANE_STATES = ['new', 'recovering', 'open', 'parked'] as const;
export type LaneRegistryState = (typeof LANE_STATES)[number];

/** All that PostgreSQL says of a lane, in one read. */
export interface RegistryRow {
  readonly lane: number;
  readonly term: number;
  readonly state: LaneRegistryState;
  /** When it changed last, as PostgreSQL writes it: to be compared with itself alone. */
  readonly changedAt: string;
  /** PostgreSQL's timeline now. */
  readonly timeline: number;
  readonly position: LanePosition;
  /** How the recovery of this term ended, once it has. */
  readonly outcome?: string;
}

interface Row {
  readonly term: number;
  readonly state: string;
  readonly changed_at: string;
  readonly timeline: number;
  readonly position_term: number;
  readonly epoch: number;
  readonly seq: number;
  readonly nonce: Buffer;
  readonly log_offset: number;
  readonly time_ms: number;
  readonly parked: string | null;
  readonly outcome: string | null;
}

export class Registry {
  readonly #pool: Pool;
  #source: TimelineSource | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** What this registry cannot see on this server, for people; undefined when it sees all. */
  async warning(): Promise<string | undefined> {
    return (await this.#timeline()).warning;
  }

  async read(lane: number): Promise<RegistryRow> {
    const { expression } = await this.#timeline();
    const { rows } = await this.#pool.query<Row>(
      `SELECT l.term, l.state, l.updated_at::text AS changed_at, ${expression} AS timeline,
              p.term AS position_term, p.epoch, p.seq, p.nonce, p.log_offset, p.time_ms, p.parked,
              r.outcome
       FROM lanes l JOIN positions p USING (lane)
       LEFT JOIN recoveries r ON r.lane = l.lane AND r.term = l.term
       WHERE l.lane = $1`,
      [lane],
    );
    const row = rows[0];
    if (row === undefined) {
      throw new Error(`the registry has no lane ${lane}: run \`holdfast migrate\``);
    }
    return readRow(lane, row);
  }

  /**
   * Gives the next term and makes the lane `recovering`; undefined when the lane is no longer as it
   * was `seen`: another recovery took the number, or PostgreSQL was promoted in between.
   */
  async nextTerm(seen: RegistryRow): Promise<number | undefined> {
    if (seen.state === 'parked') return undefined;
    const { expression } = await this.#timeline();
    const next = termAfter(seen.term, seen.timeline);
    const { rowCount } = await this.#pool.query(
      `UPDATE lanes SET term = $4, state = 'recovering', updated_at = clock_timestamp()
       WHERE lane = $1 AND term = $2 AND state = $3 AND ${expression} = $5`,
      [seen.lane, seen.term, seen.state, next, seen.timeline],
    );
    return rowCount === 1 ? next : undefined;
  }

  /** A sign of life for those who wait to take over; false when the term is no longer the newest. */
  async touch(lane: number, term: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `UPDATE lanes SET updated_at = clock_timestamp()
       WHERE lane = $1 AND term = $2 AND state = 'recovering'`,
      [lane, term],
    );
    return rowCount === 1;
  }

  /**
   * Opens the term, provided that it is still the newest, PostgreSQL still on its timeline and its
   * position the head that was copied. False: start again.
   */
  async open(lane: number, term: number, head: EntryKey): Promise<boolean> {
    const { expression } = await this.#timeline();
    const { rowCount } = await this.#pool.query(
      `UPDATE lanes SET state = 'open', updated_at = clock_timestamp()
       WHERE lane = $1 AND term = $2 AND state = 'recovering' AND ${expression} <= $3
         AND EXISTS (SELECT FROM positions WHERE lane = $1 AND term = $2
                     AND epoch = $4 AND seq = $5 AND nonce = $6)`,
      [lane, term, timelineOf(term), head.epoch, head.seq, head.nonce],
    );
    return rowCount === 1;
  }

  /** False when the term is no longer the newest: then there is nothing of ours to park. */
  async park(lane: number, term: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `UPDATE lanes SET state = 'parked', updated_at = clock_timestamp()
       WHERE lane = $1 AND term = $2 AND state = 'recovering'`,
      [lane, term],
    );
    return rowCount === 1;
  }

  /**
   * A person has looked: the lane may be recovered again, and the persister go on. With `above` the
   * next number is above that one too, and above all that PostgreSQL has read in the log: it is the
   * term under which Redis was claimed, and this registry never gave. False when the lane is no longer
   * parked as it was `seen`.
   */
  async unpark(seen: Pick<RegistryRow, 'lane' | 'term'>, above = 0): Promise<boolean> {
    const { rows } = await this.#pool.query<{ count: number }>(
      `WITH same AS (
         SELECT l.lane, l.state FROM lanes l WHERE l.lane = $1 AND l.term = $2 FOR UPDATE),
       stopped AS (
         UPDATE positions p SET parked = NULL FROM same
         WHERE p.lane = same.lane AND p.parked IS NOT NULL RETURNING p.lane),
       parked AS (
         UPDATE lanes l SET state = 'recovering', updated_at = clock_timestamp(),
           term = CASE WHEN $3 > l.term THEN greatest($3, p.term, p.epoch) ELSE l.term END
         FROM same, positions p
         WHERE l.lane = same.lane AND same.state = 'parked' AND p.lane = l.lane RETURNING l.lane)
       SELECT (SELECT count(*) FROM stopped) + (SELECT count(*) FROM parked) AS count`,
      [seen.lane, seen.term, above],
    );
    return (rows[0]?.count ?? 0) > 0;
  }

  async #timeline(): Promise<TimelineSource> {
    this.#source ??= await findTimelineSource(this.#pool);
    return this.#source;
  }
}

function readRow(lane: number, row: Row): RegistryRow {
  const state = LANE_STATES.find((name) => name === row.state);
  if (state === undefined) {
    throw new Error(`the registry says that lane ${lane} is ${row.state}, which means nothing`);
  }
  return {
    lane,
    term: row.term,
    state,
    changedAt: row.changed_at,
    timeline: row.timeline,
    position: {
      term: row.position_term,
      epoch: row.epoch,
      seq: row.seq,
      nonce: row.nonce,
      offset: BigInt(row.log_offset),
      timeMs: row.time_ms,
      ...(row.parked === null ? {} : { parked: row.parked }),
    },
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
  };
}
