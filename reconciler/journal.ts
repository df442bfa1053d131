/**
 * The timeline of one recovery, kept in the table `recoveries`: each step as it was done, with when
 * it began and how long it took, in milliseconds since the recovery began. The step behind the last
 * one listed is where a recovery that never ended died.
 */
import type { Pool } from '../engine/postgres/pool.ts';
import type { RecoveryCause } from './detect.ts';

export type StepDetail = Readonly<Record<string, string | number | boolean>>;

export interface RecoveryStep {
  readonly step: string;
  readonly at_ms: number;
  readonly took_ms: number;
  readonly detail?: StepDetail;
}

export class Journal {
  readonly steps: RecoveryStep[] = [];
  readonly #pool: Pool;
  readonly #lane: number;
  readonly #term: number;
  readonly #beganMs = performance.now();

  constructor(pool: Pool, lane: number, term: number) {
    this.#pool = pool;
    this.#lane = lane;
    this.#term = term;
  }

  /** Also ends the rows of earlier recoveries, which died without a word. */
  async begin(cause: RecoveryCause): Promise<void> {
    await this.#pool.query(
      `WITH died AS (
         UPDATE recoveries SET ended_at = now(), outcome = 'abandoned'
         WHERE lane = $1 AND term < $2 AND ended_at IS NULL)
       INSERT INTO recoveries (lane, term, cause) VALUES ($1, $2, $3)`,
      [this.#lane, this.#term, cause],
    );
  }

  /** Runs the step, and writes it down when it is done. */
  async step<T>(
    step: string,
    work: () => Promise<T>,
    describe: (result: T) => StepDetail = () => ({}),
  ): Promise<T> {
    const beganMs = performance.now();
    const result = await work();
    const detail = describe(result);
    const done: RecoveryStep = {
      step,
      at_ms: Math.round(beganMs - this.#beganMs),
      took_ms: Math.round(performance.now() - beganMs),
      ...(Object.keys(detail).length === 0 ? {} : { detail }),
    };
    this.steps.push(done);
    await this.#pool.query(
      'UPDATE recoveries SET steps = steps || $3::jsonb WHERE lane = $1 AND term = $2',
      [this.#lane, this.#term, JSON.stringify([done])],
    );
    return result;
  }

  async end(outcome: string): Promise<void> {
    await this.#pool.query(
      'UPDATE recoveries SET ended_at = now(), outcome = $3 WHERE lane = $1 AND term = $2',
      [this.#lane, this.#term, outcome],
    );
  }
}
