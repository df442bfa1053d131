/** A report made by hand, for tests of what reads reports. */
import type { LatencySummary } from '../load/latency.ts';
import type { LoadResult } from '../measure/wire-load.ts';
import { type BenchReport, REPORT_FORMAT, type ScenarioResult } from '../run.ts';
import type { Phase } from '../scenario.ts';

export function sampleReport(over: Partial<BenchReport> = {}): BenchReport {
  return {
    format: REPORT_FORMAT,
    environment: {
      at: '2026-11-22T01:00:00.000Z',
      commit: 'abc1234',
      cpu: 'A <fast> CPU',
      cores: 2,
      memory_gb: 24,
      system: 'Linux 6.18',
      node: 'v20.20.2',
      redis: '7.0.15',
      redis_persistence: 'AOF, fsync everysec',
      postgres: '15.18',
      http: 'uws',
      load_average: 0.1,
      is_quiet: true,
      clock: 'tsc',
      governor: 'unknown',
      limits: 'none',
      settings: 'none',
      fsync_ms: { p50: 0.3, p99: 4 },
    },
    quick: false,
    seed: 'holdfast',
    scenarios: [sampleScenario()],
    verdict: 'ok',
    ...over,
  };
}

export function sampleScenario(over: Partial<ScenarioResult> = {}): ScenarioResult {
  return {
    name: 'hot-sku',
    took_s: 8.1,
    phases: [samplePhase(), samplePhase({ name: 'reserves, open loop', rate: 12_000 })],
    facts: [
      { what: 'persister alone', value: 90_000, unit: '/s', better: 'higher' },
      { what: 'events behind', value: 7, unit: '' },
    ],
    series: [
      {
        name: 'events behind',
        unit: 'events',
        points: [
          [0, 0],
          [1, 900],
          [2.5, 12],
        ],
      },
    ],
    budgets: [
      {
        what: 'reserve : empty handler',
        measured: 2.5,
        unit: 'x',
        budget: 4,
        isMet: true,
        isThreshold: true,
      },
      {
        what: 'persister alone, from the log',
        measured: 40_000,
        unit: '/s',
        budget: 80_000,
        isMet: false,
        isThreshold: false,
        yardstick: { what: 'a bare COPY and merge of its rows', measured: 50_000, ratioMin: 0.59 },
      },
    ],
    audit: { ok: true, words: ['60000 answers said reserved, 60000 units are reserved'] },
    ...over,
  };
}

export function samplePhase(over: Partial<Phase> = {}): Phase {
  return {
    name: 'reserves, closed loop',
    load: sampleLoad(),
    processes: [
      { name: 'engine', cpuUs: 900_000, rssBytes: 150 * 2 ** 20 },
      { name: 'redis', cpuUs: 600_000, rssBytes: 60 * 2 ** 20 },
      { name: 'recovery', cpuUs: 10_000, rssBytes: Number.NaN },
      { name: 'load', cpuUs: 700_000, rssBytes: 90 * 2 ** 20 },
    ],
    stolen: 0.125,
    core: { multiply_ns: 1.13, load_8mb_ns: 45.33, load_64mb_ns: 172.07 },
    redisThreadUs: 550_000,
    commands: [
      { name: 'evalsha', calls: 400, us: 300_000 },
      { name: 'hset', calls: 5_000, us: 12_000 },
    ],
    batches: {
      count: 400,
      sum: 60_000,
      buckets: [
        { upTo: 1, count: 4 },
        { upTo: 128, count: 296 },
        { upTo: Number.POSITIVE_INFINITY, count: 100 },
      ],
    },
    turns: {
      count: 900,
      sum: 2.7,
      buckets: [
        { upTo: 0.005, count: 800 },
        { upTo: 0.01, count: 97 },
        { upTo: 0.0125, count: 3 },
        { upTo: Number.POSITIVE_INFINITY, count: 0 },
      ],
    },
    outcomes: { 'reserve created': 60_000 },
    ...over,
  };
}

export function sampleLoad(latency: Partial<LatencySummary> = {}): LoadResult {
  const summary: LatencySummary = {
    count: 60_000,
    meanMs: 4,
    p50Ms: 3.9,
    p90Ms: 5.1,
    p99Ms: 8.8,
    p999Ms: 20.2,
    maxMs: 31,
    ...latency,
  };
  const perSecond = { 201: [9_000, 10_000, 11_000, 10_000, 10_000, 10_000] };
  return {
    answers: 60_000,
    byStatus: { 201: 60_000 },
    seconds: 6,
    latency: summary,
    cpuUsPerRequest: 11,
    rssBytes: 90 * 2 ** 20,
    backlogMax: 0,
    timeouts: 0,
    unsent: 0,
    byLabel: {
      reserve: {
        answers: 60_000,
        byStatus: { 201: 60_000 },
        latency: summary,
        accepted: summary,
        acceptedSinceSent: summary,
        perSecond,
        firstRefusals: {},
      },
    },
    tally: {},
  };
}
