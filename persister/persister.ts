/**
 * From the log to PostgreSQL, exactly once, in batches. Any number may run for a lane: the position
 * row elects one for each batch.
 *
 * States, and what is true in each:
 * - unknown:  the position has to be read. At the start, and after every failure: only PostgreSQL
 *             knows whether a COMMIT that was not answered happened.
 * - standby:  another persister moved the position under us, twice running. We read it now and then,
 *             and go on when it stood still in between. Once may have been a recovery, and is
 *             followed by another try at once.
 * - at work:  `at` is what the position row said last. At most one batch is being applied, and at
 *             most one, the next, being gathered behind it.
 * - parked:   the row names why the lane waits for a person. We read it now and then.
 */
import type { BaseLogger } from 'pino';
import { Demand } from '../engine/log/demand.ts';
import type { ConsumerPosition, LogSource } from '../engine/log/event-log.ts';
import { Latest } from '../engine/log/latest.ts';
import { Backoff, pause } from '../engine/log/pause.ts';
import { isSamePlace, type Place, showPlace } from '../engine/log/place.ts';
import { trimAll } from '../engine/log/trim.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import { type LanePosition, readPosition } from '../engine/postgres/position.ts';
import type { LaneState } from '../engine/redis/lane-state.ts';
import type { CrashPoint } from '../engine/runtime/crash-point.ts';
import { noCrashPoint } from '../engine/runtime/crash-point.ts';
import { Applier, type Suspect } from './apply.ts';
import type { LogForm } from './consume.ts';
import type { EncodedBatch } from './encode-batch.ts';
import { type Gathered, gather } from './gather.ts';
import { limitsFor, type PersisterLimits } from './limits.ts';

export interface PersisterOptions {
  readonly pool: Pool;
  readonly lane: number;
  readonly source: LogSource;
  readonly form: LogForm;
  /** Whether somebody waits for what is gathered; absent: nobody does. */
  readonly demand?: Demand;
  /** Where watermarks go, and what is trimmed. */
  readonly state: Pick<LaneState, 'mark' | 'trim'>;
  readonly log: Pick<BaseLogger, 'info' | 'warn' | 'error'>;
  readonly metrics?: PersisterMetrics;
  readonly crash?: CrashPoint;
  readonly limits?: Partial<PersisterLimits>;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

export interface PersisterMetrics {
  readonly applied: (batch: AppliedBatch) => void;
  readonly suspects: (count: number) => void;
  readonly overtaken: () => void;
  /** Something is missing in the log; nothing goes on until it is there. */
  readonly gap: () => void;
  readonly parked: () => void;
  readonly failed: (error: unknown) => void;
}

export interface AppliedBatch {
  readonly events: number;
  readonly entries: number;
  readonly records: number;
  readonly voided: number;
  readonly repeated: number;
  readonly durationMs: number;
  readonly position: ConsumerPosition;
}

export type Did =
  | { readonly did: 'applied'; readonly events: number; readonly position: ConsumerPosition }
  | { readonly did: 'idle' | 'overtaken' | 'standby' | 'parked' | 'gap' };

/** Two persisters that race for every batch part after a few. */
const LOSSES_MAX = 2;

const KAFKA_LEVELS = ['persisted'] as const;
/** Embedded there is no other log: what PostgreSQL has is logged. */
const EMBEDDED_LEVELS = ['persisted', 'logged'] as const;

/** No batch before this one is being written. */
const FREE = AbortSignal.abort();

const NO_METRICS: PersisterMetrics = {
  applied: () => undefined,
  suspects: () => undefined,
  overtaken: () => undefined,
  gap: () => undefined,
  parked: () => undefined,
  failed: () => undefined,
};

export interface Persister {
  /** At most one batch. Throws when a store failed; calling again is always safe. */
  runOnce(): Promise<Did>;
  /** Until the signal, then closes; does not throw. */
  run(signal: AbortSignal): Promise<void>;
  /** Gives the connection back to the pool; for who calls `runOnce`. */
  close(): Promise<void>;
}

export function createPersister(options: PersisterOptions): Persister {
  return new LanePersister(options);
}

interface Prepared extends Gathered {
  readonly encoded: EncodedBatch;
}

class LanePersister implements Persister {
  readonly #options: PersisterOptions;
  readonly #limits: PersisterLimits;
  readonly #metrics: PersisterMetrics;
  readonly #now: () => number;
  readonly #demand: Demand;
  readonly #applier: Applier;
  readonly #marks: Latest<Place>;
  readonly #trims: Latest<Place>;
  #at: ConsumerPosition | undefined;
  #ahead: Promise<Prepared> | undefined;
  /** Where the position stood when we last looked from standby, or parked; undefined when at work. */
  #waitingAt: Place | undefined;
  /** Times running that another one was quicker. */
  #losses = 0;
  #closedAt = Number.NEGATIVE_INFINITY;
  #trimmedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PersisterOptions) {
    const { pool, lane, crash = noCrashPoint, log, state, form } = options;
    this.#options = options;
    this.#limits = limitsFor(form, options.limits);
    this.#demand = options.demand ?? new Demand();
    this.#metrics = options.metrics ?? NO_METRICS;
    this.#now = options.now ?? (() => performance.now());
    this.#applier = new Applier({ pool, lane, crash });
    this.#marks = new Latest<Place>({
      act: async (at) => {
        const levels = form === 'stream' ? EMBEDDED_LEVELS : KAFKA_LEVELS;
        await Promise.all(levels.map((level) => state.mark(level, at)));
        crash('persister.after_mark');
      },
      onError: (error) => log.warn({ err: error, lane }, 'watermark not published, will retry'),
      isSame: isSamePlace,
    });
    this.#trims = new Latest<Place>({
      act: async (at) => {
        await trimAll(state, at, this.#limits.trimMarginMs);
        crash('persister.after_trim');
      },
      onError: (error) => log.warn({ err: error, lane }, 'lane log not trimmed, will retry'),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { lane, log } = this.#options;
    const backoff = new Backoff(this.#limits.backoff);
    while (!signal.aborted) {
      try {
        const { did } = await this.runOnce();
        if (did === 'gap') await pause(backoff.next(), signal);
        else backoff.reset();
        if (did === 'standby' || did === 'parked') await pause(this.#limits.standbyMs, signal);
      } catch (error) {
        const retryInMs = backoff.next();
        log.warn({ err: error, lane, retry_in_ms: retryInMs }, 'persister failed, will retry');
        await pause(retryInMs, signal);
      }
    }
    await this.close();
  }

  async close(): Promise<void> {
    await this.#forget();
    this.#applier.close();
    await Promise.all([this.#marks.settled(), this.#trims.settled()]);
  }

  async runOnce(): Promise<Did> {
    try {
      const at = this.#at ?? (await this.#findPosition());
      if (typeof at === 'string') return { did: at };
      this.#at = at;
      this.#mark(at);
      const gathered = await (this.#ahead ?? this.#gather(at, FREE));
      this.#ahead = undefined;
      if (gathered.records === 0) {
        if (gathered.stop?.kind === 'gap') return await this.#gap(gathered);
        if (gathered.stop === undefined) {
          this.#trim(at);
          return { did: 'idle' };
        }
      }
      return await this.#apply(gathered);
    } catch (error) {
      this.#metrics.failed(error);
      await this.#forget();
      throw error;
    }
  }

  async #findPosition(): Promise<ConsumerPosition | 'standby' | 'parked'> {
    const found = await readPosition(this.#options.pool, this.#options.lane);
    const before = this.#waitingAt;
    this.#waitingAt = found;
    if (found.parked !== undefined) return 'parked';
    if (before !== undefined && !isSamePlace(before, found)) return 'standby';
    this.#waitingAt = undefined;
    return consumerPosition(found);
  }

  async #gather(from: ConsumerPosition, freed: AbortSignal): Promise<Prepared> {
    const { source, form } = this.#options;
    const final = this.#applier.begin();
    const deps = {
      source,
      form,
      limits: this.#limits,
      demand: this.#demand,
      final,
      now: this.#now,
    };
    const gathered = await gather(from, { lastAt: this.#closedAt, freed }, deps);
    if (gathered.records > 0) this.#closedAt = this.#now();
    return { ...gathered, encoded: await this.#applier.endBreathing(gathered.batch) };
  }

  async #apply(gathered: Prepared): Promise<Did> {
    const { from, to, batch, encoded, stop } = gathered;
    const startedAt = this.#now();
    const parked = stop?.kind === 'undecodable' ? stop.reason : undefined;
    const freeing = new AbortController();
    const applying = this.#applier
      .apply({ from, to, timeMs: batch.timeMs, parked, batch, encoded })
      .finally(() => freeing.abort());
    if (stop === undefined) this.#gatherAhead(to, freeing.signal);
    const applied = await applying;
    if (applied.outcome === 'overtaken') return this.#overtaken(from);
    this.#at = to;
    this.#losses = 0;
    this.#metrics.applied({
      events: batch.events,
      entries: batch.entryCount,
      records: gathered.records,
      voided: gathered.voided,
      repeated: gathered.repeated,
      durationMs: this.#now() - startedAt,
      position: to,
    });
    this.#report(applied.suspects);
    this.#mark(to);
    this.#trim(to);
    return parked === undefined
      ? { did: 'applied', events: batch.events, position: to }
      : this.#park(to, parked);
  }

  /** Reads and prepares the next batch while PostgreSQL works on this one. */
  #gatherAhead(from: ConsumerPosition, freed: AbortSignal): void {
    this.#ahead = this.#gather(from, freed);
    // Whoever awaits it sees the error; until then it must not count as unhandled.
    this.#ahead.catch(() => undefined);
  }

  async #overtaken(from: ConsumerPosition): Promise<Did> {
    this.#metrics.overtaken();
    await this.#forget();
    this.#losses++;
    if (this.#losses < LOSSES_MAX) return { did: 'overtaken' };
    this.#losses = 0;
    this.#waitingAt = from;
    this.#options.log.info(
      { lane: this.#options.lane, position: showPlace(from) },
      'another persister is at work; standing by',
    );
    return { did: 'standby' };
  }

  async #gap({ to, stop }: Gathered): Promise<Did> {
    this.#metrics.gap();
    this.#options.log.error(
      { lane: this.#options.lane, position: showPlace(to), reason: stop?.reason },
      'the log has a gap; the persister stops here and reads again',
    );
    await this.#forget();
    return { did: 'gap' };
  }

  async #park(at: ConsumerPosition, reason: string): Promise<Did> {
    this.#metrics.parked();
    this.#options.log.error(
      { lane: this.#options.lane, position: showPlace(at), reason },
      'the lane is parked until a person looks',
    );
    await this.#forget();
    this.#waitingAt = at;
    return { did: 'parked' };
  }

  #report(suspects: readonly Suspect[]): void {
    if (suspects.length === 0) return;
    this.#metrics.suspects(suspects.length);
    const { lane, log } = this.#options;
    for (const suspect of suspects) log.error({ lane, ...suspect }, 'cell marked as suspect');
  }

  #mark(at: ConsumerPosition): void {
    if (at.seq > 0) this.#marks.offer({ epoch: at.epoch, seq: at.seq });
  }

  #trim(at: ConsumerPosition): void {
    // With Kafka the relay trims: it reads the stream, and Kafka keeps what PostgreSQL may need.
    if (this.#options.form !== 'stream') return;
    const now = this.#now();
    if (now - this.#trimmedAt < this.#limits.trimEveryMs) return;
    this.#trimmedAt = now;
    this.#trims.offer({ epoch: at.epoch, seq: at.seq });
  }

  /** Back to `unknown`, when the read that is under way has ended. */
  async #forget(): Promise<void> {
    this.#at = undefined;
    const ahead = this.#ahead;
    this.#ahead = undefined;
    await ahead?.catch(() => undefined);
  }
}

function consumerPosition({ term, epoch, seq, nonce, offset }: LanePosition): ConsumerPosition {
  return { term, epoch, seq, nonce, offset };
}
