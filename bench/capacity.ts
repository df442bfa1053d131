/**
 * From what a request was measured to cost each process, how many cores and nodes a load needs, and
 * how storage and network grow. Pure: the measurements come in, a table for deploy/CAPACITY.md goes
 * out.
 */

import { BLOCK_BUCKETS, GENERATIONS_BACK } from '../engine/domain/reservation-id.ts';

/** Of one event (a reserve, a settlement), as `full-pipeline` and `memory` measure them. */
export interface MeasuredCost {
  /** us of CPU. */
  readonly cpuUs: Readonly<Record<ProcessName, number>>;
  /** Of a read of availability: the engine's, and Redis' share, us of CPU. */
  readonly readUs: { readonly engine: number; readonly redis: number };
  /** Bytes that one event leaves in Kafka, and in PostgreSQL with its indexes. */
  readonly storedBytes: Readonly<Record<'kafka' | 'postgres', number>>;
  /** Bytes of Redis' memory. */
  readonly memoryBytes: {
    readonly cell: number;
    readonly liveHold: number;
    readonly tombstone: number;
    /** Where its bucket has more than LISTPACK_ENTRIES. */
    readonly crowdedTombstone: number;
  };
  /** Of a request with its answer, on the wire. */
  readonly requestBytes: number;
}

export const PROCESSES = ['engine', 'redis', 'relay', 'persister', 'kafka', 'postgres'] as const;
export type ProcessName = (typeof PROCESSES)[number];

export interface Load {
  readonly name: string;
  /** Events a second, at the spike and in the mean over a day. */
  readonly spike: number;
  readonly mean: number;
  /** Reads of availability a second. */
  readonly reads: number;
  readonly liveHolds: number;
  readonly cells: number;
}

/** Beyond it queues grow faster than work: what a core is planned to be busy with. */
export const BUSY_MAX = 0.6;
/** Replicas of the log (acks=all), and of the data in Redis and PostgreSQL. */
const COPIES = { redis: 3, kafka: 3, postgres: 2 } as const;
const DAY_S = 86_400;
/** Days whose records are there: today's, and those that scripts still look at. */
const DAYS_KEPT = 1 + GENERATIONS_BACK;
/** Redis' `hash-max-listpack-entries`: a bucket of more records is a hash table. */
const LISTPACK_ENTRIES = 128;
/** Kafka keeps the log so long: PostgreSQL must be able to come back within it. */
const RETENTION_S = 7 * DAY_S;
const YEAR_S = 365 * DAY_S;
/** Cores of one node. */
const NODE_CORES = 16;
/**
 * What one lane cannot spread: Redis runs its commands on one thread, and each lane has one relay and
 * one persister. Further lanes are further Redis primaries (Redis Cluster).
 */
const OF_ONE_LANE: ReadonlySet<ProcessName> = new Set(['redis', 'relay', 'persister']);

export interface Need {
  readonly process: ProcessName;
  /** At the spike, BUSY_MAX of each. */
  readonly cores: number;
  /** As whole processes where each has one core, as nodes of NODE_CORES for the others. */
  readonly units: number;
}

export interface Growth {
  /** Of all copies of the data in Redis, bytes. */
  readonly memoryBytes: number;
  /** Into the engines and out, at the spike, bits a second. */
  readonly networkBitsPerSecond: number;
  /** All copies, bytes. */
  readonly kafkaBytes: number;
  readonly ledgerBytesPerYear: number;
  /** Lanes that the spike wants: the most of what one lane cannot spread. */
  readonly lanes: number;
}

export interface Capacity {
  readonly load: Load;
  readonly needs: readonly Need[];
  readonly growth: Growth;
}

export function planCapacity(cost: MeasuredCost, load: Load): Capacity {
  const needs = PROCESSES.map((process) => needOf(process, cost, load));
  const lanes = needs
    .filter(({ process }) => OF_ONE_LANE.has(process))
    .reduce((most, { units }) => Math.max(most, units), 1);
  return { load, needs, growth: { ...growthOf(cost, load, lanes), lanes } };
}

function needOf(process: ProcessName, { cpuUs, readUs }: MeasuredCost, load: Load): Need {
  const ofReads = process === 'engine' || process === 'redis' ? readUs[process] : 0;
  const busy = (load.spike * cpuUs[process] + load.reads * ofReads) / 1e6;
  const cores = busy / BUSY_MAX;
  const coresOfUnit = OF_ONE_LANE.has(process) ? 1 : NODE_CORES;
  return { process, cores, units: Math.max(1, Math.ceil(cores / coresOfUnit)) };
}

function growthOf(cost: MeasuredCost, load: Load, lanes: number): Omit<Growth, 'lanes'> {
  const { memoryBytes: memory, storedBytes, requestBytes } = cost;
  const ofDay = load.mean * DAY_S;
  const isCrowded = ofDay / lanes / BLOCK_BUCKETS > LISTPACK_ENTRIES;
  const tombstone = isCrowded ? memory.crowdedTombstone : memory.tombstone;
  const data =
    load.cells * memory.cell + load.liveHolds * memory.liveHold + ofDay * DAYS_KEPT * tombstone;
  return {
    memoryBytes: data * COPIES.redis,
    networkBitsPerSecond: (load.spike + load.reads) * requestBytes * 8,
    kafkaBytes: load.mean * RETENTION_S * storedBytes.kafka * COPIES.kafka,
    ledgerBytesPerYear: load.mean * YEAR_S * storedBytes.postgres * COPIES.postgres,
  };
}

/** Markdown. */
export function renderCapacity(plans: readonly Capacity[]): string {
  const row = (what: string, of: (plan: Capacity) => string): string =>
    `| ${[what, ...plans.map(of)].join(' | ')} |`;
  return [
    row('', ({ load }) => load.name),
    row('---', () => '---'),
    row('events/s, spike (mean)', ({ load }) => `${count(load.spike)} (${count(load.mean)})`),
    row('reads/s', ({ load }) => count(load.reads)),
    ...PROCESSES.map((process) =>
      row(`${process}: cores at the spike`, (plan) => cores(plan, process)),
    ),
    row('lanes (Redis primaries)', ({ growth }) => count(growth.lanes)),
    row('memory of Redis, 3 copies', ({ growth }) => bytes(growth.memoryBytes)),
    row(
      'network of the engines',
      ({ growth }) => `${(growth.networkBitsPerSecond / 1e9).toFixed(2)} Gbit/s`,
    ),
    row('Kafka, 7 days, 3 copies', ({ growth }) => bytes(growth.kafkaBytes)),
    row('PostgreSQL, a year, 2 copies', ({ growth }) => bytes(growth.ledgerBytesPerYear)),
  ].join('\n');
}

function cores({ needs }: Capacity, process: ProcessName): string {
  const need = needs.find((each) => each.process === process);
  if (need === undefined) return '';
  const one = need.units === 1;
  const unit = OF_ONE_LANE.has(process)
    ? `process${one ? '' : 'es'}`
    : `node${one ? '' : 's'} of ${NODE_CORES} cores`;
  return `${need.cores.toFixed(1)} (${need.units} ${unit})`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.floor(Math.log10(value) / 3);
  const at = Math.min(UNITS.length - 1, power);
  return `${(value / 1_000 ** at).toPrecision(3)} ${UNITS[at] ?? ''}`;
}
