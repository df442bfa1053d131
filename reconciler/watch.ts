/**
 * Watches one lane and recovers it when it needs it: `run` around a bounded `runOnce`.
 *
 * Any number of watchers may watch a lane. One at a time has the turn (turn.ts); the others look on.
 * When it dies, the turn is free at once, because PostgreSQL ends it with the session. When it hangs,
 * the others take over after `takeOverMs` without a sign of life (sign-of-life.ts). That may be short:
 * safety rests on the terms, so one taken over from by mistake costs a number and its work so far. It
 * doubles each time that this watcher took over and the lane did not open, so that a machine on which
 * everybody is slow cannot make them take over from each other for ever.
 *
 * A parked lane is left alone until somebody calls `unpark`. While Redis or PostgreSQL is away, the
 * watcher tries again at growing intervals, for ever: with PostgreSQL down an open lane goes on
 * selling and a closed one stays closed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecoveryDeps } from './claim.ts';
import { needsRecovery, type RecoveryCause } from './detect.ts';
import { type Detection, type RecoveryReport, recover } from './recover.ts';
import type { RegistryRow } from './registry.ts';
import { takeTurn } from './turn.ts';

export interface WatchLimits {
  /** Between two looks at a lane that is well. */
  readonly pollMs: number;
  /** The least pause, however often somebody calls `wake`. */
  readonly wakeMs: number;
  /** The longest pause after failures in a row; they double from `pollMs`. */
  readonly backoffMsMax: number;
  /** How long another's recovery may show no sign of life. A multiple of RecoveryLimits.touchMs. */
  readonly takeOverMs: number;
  readonly takeOverMsMax: number;
}

export const WATCH_LIMITS: WatchLimits = {
  pollMs: 100,
  wakeMs: 10,
  // A look costs a query; an outage that lasts longer because nobody looked costs sales.
  backoffMsMax: 500,
  // Six signs of life missed, and well within the five seconds that an outage may last in all.
  takeOverMs: 1_500,
  takeOverMsMax: 12_000,
};

/** What one look came to. */
export type WatchReport =
  | { readonly kind: 'open'; readonly term: number }
  | { readonly kind: 'parked'; readonly reason: string }
  /** Another watcher is at it. */
  | { readonly kind: 'waiting'; readonly cause: RecoveryCause }
  /** This process is on the wrong side of a cut, or has not followed a failover yet. */
  | { readonly kind: 'held_back'; readonly cause: RecoveryCause; readonly reason: string }
  | { readonly kind: 'recovery'; readonly report: RecoveryReport }
  /** Told once: something that recovery cannot see on this PostgreSQL. */
  | { readonly kind: 'limited'; readonly reason: string };

export interface WatchDeps extends RecoveryDeps {
  readonly watch: WatchLimits;
  /**
   * Why nobody should recover on the node that `state` leads to; undefined: it is the one. Manners,
   * not safety: without it, a process that is cut off with the old primary takes the term from the
   * recovery on the new one, again and again, and closes a lane that was well.
   */
  readonly whyNotHere?: () => Promise<string | undefined>;
  /** Told of every recovery, and of every change of kind; never of a look that found nothing new. */
  readonly onReport: (report: WatchReport) => void;
  /** Told of failures; the watcher goes on. */
  readonly onError: (error: unknown) => void;
}

/** Behind every entry that can be: then `tail` reads none. */
const NO_ENTRIES = { epoch: Number.MAX_SAFE_INTEGER, seq: 0 };

export class LaneWatcher {
  readonly #deps: WatchDeps;
  /** The registry's row as it was when another's recovery was first seen so, and when that was. */
  #stalled: { readonly mark: string; readonly sinceMs: number } | undefined;
  /** Since the lane was last open. */
  #takeOvers = 0;
  /** The last look that found the lane well, by performance.now(). */
  #wellMs: number | undefined;
  /** The first look that found what is wrong now. */
  #detectedMs: number | undefined;
  #awake: (() => void) | undefined;
  #woken: 'no' | 'soon' | 'now' = 'no';
  #hasToldLimits = false;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  /** Ends the pause between two looks: an engine of this process was just told `fenced`. */
  wake(): void {
    if (this.#woken !== 'no') return;
    this.#woken = 'soon';
    this.#awake?.();
  }

  /** Ends any pause, also one after failures: a store is back, or a connection leads elsewhere. */
  reconnected(): void {
    this.#woken = 'now';
    this.#awake?.();
  }

  /** Looks, recovers at most once, and says what it came to. Throws when a store fails. */
  async runOnce(signal: AbortSignal): Promise<WatchReport> {
    const seen = await this.#look();
    if ('report' in seen) return seen.report;
    const reason = await this.#deps.whyNotHere?.();
    if (reason !== undefined) return { kind: 'held_back', cause: seen.detection.cause, reason };
    const turn = await takeTurn(this.#deps.pool, this.#deps.lane);
    try {
      if (!turn.isOurs) {
        if (!this.#isStalled(seen.registry))
          return { kind: 'waiting', cause: seen.detection.cause };
        this.#takeOvers += 1;
      }
      // Between the first look and our turn another's recovery may have ended.
      const again = await this.#look();
      if ('report' in again) return again.report;
      const report = await recover(this.#deps, again.registry, again.detection, signal);
      if (report.outcome === 'opened') this.#seeWell();
      return { kind: 'recovery', report };
    } finally {
      await turn.end();
    }
  }

  /** Until the signal; resolves when the last look is over. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let kind: WatchReport['kind'] | undefined;
    while (!signal.aborted) {
      let pauseMs = this.#deps.watch.pollMs;
      let leastMs = this.#deps.watch.wakeMs;
      try {
        await this.#tellLimits();
        const report = await this.runOnce(signal);
        failures = 0;
        if (report.kind === 'recovery' || report.kind !== kind) this.#deps.onReport(report);
        kind = report.kind;
        // Opened: look once more before the pause. Superseded: not at once, the other needs a turn.
        if (report.kind === 'recovery' && report.report.outcome === 'opened') continue;
      } catch (error) {
        if (signal.aborted) return;
        pauseMs = backoffMs(this.#deps.watch, failures++);
        leastMs = pauseMs;
        this.#deps.onError(error);
      }
      await this.#pause(pauseMs, leastMs, signal);
    }
  }

  async #tellLimits(): Promise<void> {
    if (this.#hasToldLimits) return;
    const reason = await this.#deps.registry.warning();
    this.#hasToldLimits = true;
    if (reason !== undefined) this.#deps.onReport({ kind: 'limited', reason });
  }

  async #look(): Promise<
    | { readonly report: WatchReport }
    | { readonly registry: RegistryRow; readonly detection: Detection }
  > {
    const { lane, registry, state } = this.#deps;
    const row = await registry.read(lane);
    const parked = row.state === 'parked' ? (row.outcome ?? 'parked') : row.position.parked;
    if (parked !== undefined) return { report: { kind: 'parked', reason: parked } };
    const tail = await state.tail(NO_ENTRIES, 1);
    const cause = needsRecovery(tail, row);
    if (cause === undefined) {
      this.#seeWell();
      return { report: { kind: 'open', term: row.term } };
    }
    this.#detectedMs ??= performance.now();
    const detection = { cause, detectedMs: this.#detectedMs, wellMs: this.#wellMs };
    return { registry: row, detection };
  }

  #seeWell(): void {
    this.#stalled = undefined;
    this.#takeOvers = 0;
    this.#wellMs = performance.now();
    this.#detectedMs = undefined;
  }

  /** Has the registry not moved for too long, by our own clock? */
  #isStalled(row: RegistryRow): boolean {
    const mark = `${row.term} ${row.state} ${row.changedAt}`;
    const nowMs = performance.now();
    if (this.#stalled?.mark !== mark) this.#stalled = { mark, sinceMs: nowMs };
    return nowMs - this.#stalled.sinceMs >= takeOverMs(this.#deps.watch, this.#takeOvers);
  }

  /** `wake` ends it once `leastMs` are over: fenced engines may call thousands of times a second. */
  async #pause(pauseMs: number, leastMs: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + pauseMs;
    const leastEndMs = performance.now() + leastMs;
    while (!signal.aborted) {
      const untilMs = this.#woken === 'soon' ? leastEndMs : endMs;
      const leftMs = untilMs - performance.now();
      if (this.#woken === 'now' || leftMs <= 0) break;
      const woken = new AbortController();
      this.#awake = () => woken.abort();
      const either = AbortSignal.any([signal, woken.signal]);
      await sleep(leftMs, undefined, { signal: either }).catch(() => undefined);
      this.#awake = undefined;
    }
    this.#woken = 'no';
  }
}

/** After so many times in vain. */
export function takeOverMs(limits: WatchLimits, times: number): number {
  return Math.min(limits.takeOverMs * 2 ** Math.min(times, 30), limits.takeOverMsMax);
}

export function backoffMs(limits: WatchLimits, failures: number): number {
  return Math.min(limits.pollMs * 2 ** Math.min(failures, 30), limits.backoffMsMax);
}
