/** Runs scenarios on servers of its own, and judges what they measured. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack } from '../deploy/local/stack.ts';
import { createPool } from '../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../engine/redis/connect.ts';
import { migrate } from '../persister/migrate.ts';
import { hotSkuBudgets, laneBudgets } from './budgets.ts';
import { readEnvironment } from './environment.ts';
import type { BenchReport } from './report.ts';
import { type CommitLatencyReport, runCommitLatency } from './scenarios/commit-latency.ts';
import { runHotSku } from './scenarios/hot-sku.ts';
import { runLaneScenario } from './scenarios/lane.ts';
import { type PeersReport, runPeers } from './scenarios/peers.ts';

export const SCENARIOS = ['lane', 'hot-sku', 'commit-latency', 'peers'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

export interface BenchOptions {
  readonly scenarios: readonly ScenarioName[];
  /** Short phases: to see that it works, not to compare. */
  readonly quick: boolean;
  readonly onProgress: (what: string) => void;
}

const FULL = { reservations: 300_000, commits: 200, rounds: 5, seconds: 10, warmUpSeconds: 5 };
const QUICK = { reservations: 50_000, commits: 30, rounds: 3, seconds: 3, warmUpSeconds: 2 };
const CONNECTIONS = 256;
/** As many callers as a pool of application servers has; more only lengthens the queues of locks. */
const PEER_CONNECTIONS = 64;
const PEERS_FULL = {
  drop: { shoppers: 20_000, units: 1_000 },
  connections: PEER_CONNECTIONS,
  seconds: 10,
  warmUpSeconds: 3,
};
const PEERS_QUICK = {
  drop: { shoppers: 1_000, units: 100 },
  connections: PEER_CONNECTIONS,
  seconds: 2,
  warmUpSeconds: 1,
};
/** The design's: p99 at 40,000 a second. */
const OPEN_RATE = 40_000;
/** An emptied Redis of some hundred megabytes answers late. */
const COMMAND_MS_MAX = 60_000;
const READY_MS_MAX = 10_000;

export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  // The user that PostgreSQL runs as has to pass through.
  await chmod(directory, 0o711);
  const { REDIS_URL: _r, DATABASE_URL: _d, KAFKA_BROKERS: _k, ...env } = process.env;
  options.onProgress('starting Redis and PostgreSQL');
  // Servers of its own, whatever the environment names: the bench empties them.
  const stack = await startStack({ directory, env, log: 'embedded' });
  try {
    const report = await runOn(stack.redisUrl, stack.databaseUrl, options);
    const { scenarios } = options;
    const commit = scenarios.includes('commit-latency')
      ? await commitLatency(join(directory, 'group'), env, options)
      : undefined;
    const peers = scenarios.includes('peers')
      ? await comparePeers(join(directory, 'peers'), options)
      : undefined;
    return {
      ...report,
      ...(commit !== undefined && { commit_latency: commit }),
      ...(peers !== undefined && { peers }),
      ok: report.ok && peers?.ok !== false,
    };
  } finally {
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** On servers of its own again: a group, which the other scenarios would only make dearer. */
async function commitLatency(
  directory: string,
  env: NodeJS.ProcessEnv,
  { quick, onProgress }: BenchOptions,
): Promise<CommitLatencyReport> {
  onProgress('starting a Redis group with Sentinels');
  const stack = await startStack({ directory, env, log: 'embedded', sentinel: true });
  const stores = { REDIS_URL: stack.redisUrl, DATABASE_URL: stack.databaseUrl, KAFKA_BROKERS: '' };
  try {
    return await runCommitLatency(stores, { ...(quick ? QUICK : FULL), onProgress });
  } finally {
    await stack.stop();
  }
}

/** On servers that it may kill. */
async function comparePeers(
  directory: string,
  { quick, onProgress }: BenchOptions,
): Promise<PeersReport> {
  await mkdir(directory);
  return await runPeers({ ...(quick ? PEERS_QUICK : PEERS_FULL), directory, onProgress });
}

async function runOn(
  redisUrl: string,
  databaseUrl: string,
  { scenarios, quick, onProgress }: BenchOptions,
): Promise<BenchReport> {
  const redis = connectRedis(
    { url: redisUrl, name: 'holdfast-bench', onError: () => undefined },
    { commandTimeout: COMMAND_MS_MAX },
  );
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-bench',
    connectionsMax: 2,
    onIdleError: () => undefined,
  });
  try {
    await whenReady(redis, READY_MS_MAX);
    await migrate(pool);
    const environment = await readEnvironment(redis, pool);
    const size = quick ? QUICK : FULL;
    const lane = scenarios.includes('lane')
      ? await runLaneScenario(redis, { ...size, onProgress })
      : undefined;
    const stores = { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl, KAFKA_BROKERS: '' };
    const load = { ...size, connections: CONNECTIONS, rate: OPEN_RATE, onProgress };
    const hotSku = scenarios.includes('hot-sku') ? await runHotSku(redis, stores, load) : undefined;
    const budgets = [
      ...(lane === undefined ? [] : laneBudgets(lane)),
      ...(hotSku === undefined ? [] : hotSkuBudgets(hotSku)),
    ];
    const isAudited = hotSku === undefined || hotSku.audit.ok;
    return {
      environment,
      quick,
      ...(lane !== undefined && { lane }),
      ...(hotSku !== undefined && { hot_sku: hotSku }),
      budgets,
      ok: isAudited && budgets.every(({ isThreshold, isMet }) => isMet || !isThreshold),
    };
  } finally {
    redis.disconnect();
    await pool.end();
  }
}
