/**
 * What a scenario is, and what it reports: the same shape for each, so that one report prints them
 * all, one page draws them all, and two runs can be compared.
 */
import type { Redis } from 'ioredis';
import type { Pool } from '../engine/postgres/pool.ts';
import type { BudgetRow } from './budgets.ts';
import type { CoreSpeed } from './measure/core-speed.ts';
import type { Histogram } from './measure/engine-metrics.ts';
import type { LoadResult } from './measure/wire-load.ts';
import type { Shop } from './scenarios/shop.ts';

export interface Scenario {
  /** As the command line has it: `flash-drop`. */
  readonly name: string;
  /** One line, for --help and the report. */
  readonly about: string;
  /** In a run that names no scenario. */
  readonly runs: 'always' | 'unless quick' | 'when named';
  /** That a full one takes on two cores: for who waits, before it begins. As last measured. */
  readonly fullSeconds: number;
  readonly run: (bench: Bench) => Promise<ScenarioReport>;
}

/** What a run gives to each of its scenarios. */
export interface Bench {
  /** Short phases: to see that it works, not to compare. */
  readonly quick: boolean;
  readonly seed: string;
  /** For files of the scenario's own; gone when the run has ended. */
  readonly directory: string;
  /** What is done now, a line. */
  readonly onProgress: (what: string) => void;
  /**
   * Redis emptied, a database of its own, and the product's processes on them. In a quick run the
   * scenarios that want nothing special of it share one, each with SKUs and keys of its own: to start
   * the processes takes longer than what is measured.
   */
  readonly open: (options?: WorldOptions) => Promise<World>;
  /** The same stores without any of the product's processes, for who brings his own part of it. */
  readonly openStores: (options?: StoresOptions) => Promise<Stores>;
}

export interface StoresOptions {
  /** Default: embedded. */
  readonly log?: 'embedded' | 'kafka';
  /** Default: one Redis. `sentinel`: a primary with two replicas, and Sentinels. */
  readonly topology?: 'one' | 'sentinel';
}

export interface WorldOptions extends StoresOptions {
  /** Processes that answer HTTP, on one port. Default: 1. */
  readonly workers?: number;
  /** Further settings of the product's processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Also a quick run shall open it for this scenario alone, with nothing in it. */
  readonly isOwn?: true;
}

/** Empty, the run's own. A run has them once: close them before others are opened. */
export interface Stores {
  readonly redis: Redis;
  /** Of a database with this release's schema. */
  readonly pool: Pool;
  /** REDIS_URL, DATABASE_URL, KAFKA_BROKERS and the settings, as the processes have them. */
  readonly env: Readonly<Record<string, string>>;
  /** CPU of the stores' processes since they started, us by name; NaN where the system does not tell. */
  readonly readCosts: () => readonly ProcessCost[];
  readonly close: () => Promise<void>;
}

/** A whole system in processes of its own, ready to sell. */
export interface World extends Stores {
  /** Reserves that the engine had counted when the scenario was given it. */
  readonly createdBefore: number;
  /** The API, what is still to be persisted, the audit; open already. */
  readonly shop: Shop;
  /** The persister runs from the beginning; a scenario that measures what is before it stops it. */
  readonly persister: { readonly stop: () => Promise<void>; readonly start: () => Promise<void> };
  /** What the load did, and what it cost each process meanwhile. */
  readonly measure: (
    name: string,
    load: () => Promise<LoadResult>,
    options?: MeasureOptions,
  ) => Promise<Phase>;
}

export interface MeasureOptions {
  /** Of an open loop: requests a second that were due. */
  readonly rate?: number;
}

export interface Phase {
  readonly name: string;
  /** Requests a second that were due; undefined in a closed loop. */
  readonly rate?: number;
  readonly load: LoadResult;
  readonly processes: readonly ProcessCost[];
  /** Of the cores' time, 0 to 1, what the hypervisor gave to others; undefined where nobody tells. */
  readonly stolen?: number;
  /** Just before; missing in reports of before it was told. */
  readonly core?: CoreSpeed;
  /** CPU of the thread in which Redis runs commands, during the phase: what a budget of Redis means. */
  readonly redisThreadUs: number;
  /** Of Redis, the costliest first. */
  readonly commands: readonly CommandCost[];
  /** Operations in a batch. */
  readonly batches: Histogram;
  /** Of the engine's event loop: seconds of CPU, from a millisecond on; missing in reports of before. */
  readonly turns?: Histogram;
  /** Answers of the engine by `verb outcome`. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface ProcessCost {
  readonly name:
    | 'engine'
    | 'redis'
    | 'persister'
    | 'relay'
    | 'recovery'
    | 'postgres'
    | 'kafka'
    | 'load';
  /** During the phase; NaN where the system does not tell. */
  readonly cpuUs: number;
  /** At its end; NaN where the system does not tell. */
  readonly rssBytes: number;
}

export interface CommandCost {
  readonly name: string;
  readonly calls: number;
  readonly us: number;
}

export interface ScenarioReport {
  readonly name: string;
  readonly phases: readonly Phase[];
  /** What else was found: a rate, a size, a ratio. */
  readonly facts: readonly Fact[];
  /** Over time, for the plots. */
  readonly series: readonly Series[];
  readonly budgets: readonly BudgetRow[];
  readonly audit: AuditReport;
  /** What fits neither a phase nor a fact, for people to read; `compare` does not look at it. */
  readonly tables?: readonly ReportTable[];
}

export interface ReportTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Fact {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Which way is progress; undefined: neither, it is a condition. */
  readonly better?: 'lower' | 'higher';
}

export interface Series {
  readonly name: string;
  readonly unit: string;
  /** Seconds from the beginning of the scenario, and the value then. */
  readonly points: readonly (readonly [atS: number, value: number])[];
}

/** A scenario that fails it is a failed run, whatever was measured. */
export interface AuditReport {
  readonly ok: boolean;
  /** What was compared, with numbers: `81,204 answers said reserved, 81,204 units are reserved`. */
  readonly words: readonly string[];
}
