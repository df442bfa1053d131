/**
 * The timeline of one recovery, kept in the table `recoveries`: when the lane was last well and when
 * the cause was seen, then each step as it was done, with when it began and how long it took, in
 * milliseconds since the recovery began. The step behind the last one listed is where a recovery
 * that never ended died.
 */
import type { Pool } from '../engine/postgres/pool.ts';
import type { CopyProgress } from './copy-progress.ts';
import type { RecoveryCause } from './detect.ts';

export type StepDetail = Readonly<Record<string, string | number | boolean>>;

export interface RecoveryStep {
  readonly step: string;
  readonly at_ms: number;
  readonly took_ms: number;
  readonly detail?: StepDetail;
}

/** What came before the first step, and who is at work; times of this process's own clock. */
export interface Beginning {
  readonly cause: RecoveryCause;
  /** performance.now() of the look that found the cause. */
  readonly detectedMs: number;
  /** Of the last look that found the lane well; undefined: never seen so. */
  readonly wellMs?: number | undefined;
  /** host:pid */
  readonly leader: string;
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
  async begin({ cause, detectedMs, wellMs, leader }: Beginning): Promise<void> {
    // PostgreSQL's clock dates them all; ours says only how long ago it was.
    const agoMs = (ms: number) => Math.round(performance.now() - ms);
    await this.#pool.query(
      `WITH died AS (
         UPDATE recoveries SET ended_at = now(), outcome = 'abandoned'
         WHERE lane = $1 AND term < $2 AND ended_at IS NULL)
       INSERT INTO recoveries (lane, term, cause, leader, detected_at, well_at)
       VALUES ($1, $2, $3, $4, now() - $5 * interval '1 ms', now() - $6 * interval '1 ms')`,
      [
        this.#lane,
        this.#term,
        cause,
        leader,
        agoMs(detectedMs),
        wellMs === undefined ? null : agoMs(wellMs),
      ],
    );
  }

  /** The node that was claimed. */
  async node(address: string, replid: string): Promise<void> {
    await this.#update('primary_address = $3, replid = $4', [address, replid]);
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
    await this.#update('steps = steps || $3::jsonb', [JSON.stringify([done])]);
    return result;
  }

  /** For those who watch; nothing rests on it. */
  progress(progress: CopyProgress): void {
    this.#update('progress = $3', [JSON.stringify(progress)]).catch(() => undefined);
  }

  async end(outcome: string): Promise<void> {
    await this.#update('ended_at = now(), outcome = $3', [outcome]);
  }

  async #update(assignments: string, values: readonly string[]): Promise<void> {
    await this.#pool.query(`UPDATE recoveries SET ${assignments} WHERE lane = $1 AND term = $2`, [
      this.#lane,
      this.#term,
      ...values,
    ]);
  }
}
