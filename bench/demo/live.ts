/** Draws the demo while it runs: looks at the system now and then, and puts what it saw on the screen. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SaleTally } from '../load/sale.ts';
import type { Api } from './api.ts';
import type { SaleItem } from './flash-sale.ts';
import type { Meter, Window } from './meter.ts';
import type { OrdersTally } from './orders.ts';
import type { Balances, Place, Probe, Rows } from './probe.ts';
import type { Screen } from './screen.ts';
import type { View } from './view.ts';
import type { WaitingRoom } from './waiting-room.ts';

/** For rates and percentiles: long enough for a p99, short enough to be "now". */
const WINDOW_MS = 1_000;
const HISTORY_MAX = 120;

export interface LiveOptions {
  readonly screen: Screen;
  readonly meter: Meter;
  readonly probe: Probe;
  /** Its requests are not counted as the demo's. */
  readonly api: Api;
  readonly item: SaleItem;
  readonly shoppers: number;
  readonly log: 'kafka' | 'embedded';
  /** When the demo began, on the clock of performance.now(). */
  readonly startMs: number;
}

export class Live {
  phase = '';
  sale: (() => SaleTally) | undefined;
  orders: OrdersTally | undefined;
  room: WaitingRoom | undefined;
  readonly #options: LiveOptions;
  readonly #stopping = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #window: Window = { requestsPerS: 0, latencies: {} };
  #history: number[] = [];
  #requestsPerSMax = 0;
  #balances: Balances | undefined;
  #lane: Place | undefined;
  #persisted: Place | undefined;
  #rows: Rows | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** What came before was preparation. */
  restart(): void {
    this.#requestsPerSMax = 0;
  }

  /** Of the windows since `start`, or the last `restart`. */
  get requestsPerSMax(): number {
    return this.#requestsPerSMax;
  }

  start(): void {
    const { screen } = this.#options;
    this.#loops = Promise.all([
      this.#every(WINDOW_MS, () => this.#count()),
      this.#every(screen.everyMs, () => this.#look()),
    ]);
  }

  /** Draws a last time. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loops;
    await this.#count();
    await this.#look();
    this.#options.screen.end();
  }

  async #every(ms: number, run: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const dueMs = performance.now() + ms;
      await run();
      const leftMs = Math.max(1, dueMs - performance.now());
      // Rejects when it is stopped, which the loop sees.
      await sleep(leftMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #count(): Promise<void> {
    this.#window = this.#options.meter.takeWindow();
    const { requestsPerS } = this.#window;
    this.#history = [...this.#history, requestsPerS].slice(-HISTORY_MAX);
    this.#requestsPerSMax = Math.max(this.#requestsPerSMax, requestsPerS);
    this.#rows = await orElse(this.#options.probe.rows(), this.#rows);
  }

  async #look(): Promise<void> {
    const { probe, api, item, screen } = this.#options;
    const [balances, lane] = await Promise.all([
      this.sale === undefined ? undefined : orElse(probe.balances(api, item.skuId), this.#balances),
      orElse(probe.lane(), this.#lane),
    ]);
    this.#balances = balances ?? this.#balances;
    this.#lane = lane;
    this.#persisted = await orElse(probe.persisted(), this.#persisted);
    screen.draw(this.#view());
  }

  #view(): View {
    const { item, shoppers, log, startMs } = this.#options;
    const { orders } = this;
    const sale = this.sale?.();
    const { requestsPerS, latencies } = this.#window;
    const through = Object.values(sale?.outcomes ?? {}).reduce((sum, n) => sum + n, 0);
    return {
      phase: this.phase,
      elapsedMs: performance.now() - startMs,
      log,
      sale: {
        skuId: item.skuId,
        name: item.name,
        units: item.units,
        shoppers,
        balances: this.#balances,
        soldOutAnswers: sale?.answers.sold_out ?? 0,
        duplicates: sale?.duplicates ?? 0,
        through,
        waiting: this.room?.waiting ?? 0,
      },
      orders,
      traffic: {
        requestsPerS,
        history: this.#history,
        reserve: latencies.reserve,
        commit: latencies.commit,
      },
      lane: this.#lane,
      persisted: this.#persisted,
      rows: this.#rows,
    };
  }
}

/** A look that fails leaves the picture as it was: the demo's own requests tell what is wrong. */
async function orElse<T>(look: Promise<T>, before: T): Promise<T> {
  try {
    return await look;
  } catch {
    return before;
  }
}
