/**
 * Finds the primary among the hosts of a DATABASE_URL, and sees when another host takes its place.
 *
 * States, and what is true in each:
 * - unknown: no look has found a primary since the last one failed; `find` looks, and its callers
 *            share one look.
 * - known:   the last look found `#primary`; `find` answers at once.
 * While `watch` is on a look is taken every `watchMs`, so a host that hangs, which no connection to
 * it would ever notice, is left as soon as another one takes writes. Without it nothing is remembered
 * from one `find` to the next but the newest timeline.
 */
import type { DatabaseHost } from '../runtime/database-urls.ts';
import { choosePrimary, type HostReport, type HostState, NoPrimaryError } from './primary.ts';

export interface PrimaryFinderOptions {
  readonly hosts: readonly DatabaseHost[];
  /** One for each host, in their order. */
  readonly probes: readonly Probe[];
  readonly watchMs: number;
  /** Told after each look that found one, the same or another. */
  readonly onPrimary: (primary: DatabaseHost) => void;
}

export interface Probe {
  /** Bounded; never throws. */
  ask(): Promise<HostState>;
  close(): void;
}

export class PrimaryFinder {
  readonly #options: PrimaryFinderOptions;
  #primary: DatabaseHost | undefined;
  /** The newest timeline that any host was seen to write on. */
  #newest = 0;
  #looking: Promise<DatabaseHost> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isWatching = false;

  constructor(options: PrimaryFinderOptions) {
    this.#options = options;
  }

  /** Rejects with NoPrimaryError when no host takes writes. */
  async find(): Promise<DatabaseHost> {
    if (this.#isWatching && this.#primary !== undefined) return this.#primary;
    return this.#look();
  }

  /** What was found does not take connections, or writes: the next `find` looks again. */
  distrust(): void {
    this.#primary = undefined;
  }

  watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#schedule();
  }

  /** Closes the connections of the probes. */
  stop(): void {
    this.#isWatching = false;
    clearTimeout(this.#timer);
    if (this.#looking === undefined) this.#closeProbes();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      // Who asks for a connection is told the reasons; the watch only goes on.
      void this.#look()
        .catch(() => undefined)
        .finally(() => {
          if (this.#isWatching) this.#schedule();
        });
    }, this.#options.watchMs);
    this.#timer.unref();
  }

  #look(): Promise<DatabaseHost> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined;
      if (!this.#isWatching) this.#closeProbes();
    });
    return this.#looking;
  }

  async #ask(): Promise<DatabaseHost> {
    const { hosts, probes } = this.#options;
    const states = await Promise.all(probes.map((probe) => probe.ask()));
    const reports = states.map((state, i): HostReport => ({ name: hosts[i]?.name ?? '', state }));
    const chosen = choosePrimary(reports, this.#newest);
    this.#primary = hosts.find(({ name }) => name === chosen?.name);
    if (chosen === undefined || this.#primary === undefined) {
      throw new NoPrimaryError(reports, this.#newest);
    }
    this.#newest = chosen.timeline;
    this.#options.onPrimary(this.#primary);
    return this.#primary;
  }

  #closeProbes(): void {
    for (const probe of this.#options.probes) probe.close();
  }
}
