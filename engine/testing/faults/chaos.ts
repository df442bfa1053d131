/**
 * One fault against somebody's own local stack, with a sale through their engine around it, and the
 * verdict: what `holdfast chaos` does. The processes are those that the stack's directory names;
 * nothing is touched that is not there.
 */
import {
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from '../../../deploy/local/process-identity.ts';
import { readServerRecord } from '../../../deploy/local/server-process.ts';
import { type ServerStatus, serverRole, stackStatus } from '../../../deploy/local/stack-status.ts';
import { createPool } from '../../postgres/pool.ts';
import { connectRedis, whenReady } from '../../redis/connect.ts';
import { groupAttempts } from './asked.ts';
import { judge } from './checker.ts';
import { createFaultClient } from './client.ts';
import { History } from './history.ts';
import type { Address } from './link.ts';
import { longestStop } from './measure.ts';
import { readFinalState } from './read-state.ts';
import { startSale } from './shoppers.ts';
import { stockUp } from './stock-up.ts';
import type { Level, Verdict } from './verdict.ts';

export type ChaosFault = 'kill' | 'hang' | 'cut' | 'flush';

interface ChaosKind {
  readonly what: string;
  readonly survives: Level;
  /** Another node takes over. */
  readonly failsOver: boolean;
}

export const CHAOS: Readonly<Record<ChaosFault, ChaosKind>> = {
  kill: { what: 'SIGKILL to the primary', survives: 'replicated', failsOver: true },
  hang: {
    what: 'the primary stops (SIGSTOP), and is woken when another one sells',
    survives: 'replicated',
    failsOver: true,
  },
  cut: {
    what: 'the primary and its Sentinel stop: to everybody else, a machine that is cut off; then they wake',
    survives: 'replicated',
    failsOver: true,
  },
  flush: {
    what: 'FLUSHALL on the primary: all Redis memory is gone',
    survives: 'logged',
    failsOver: false,
  },
};

export interface ChaosOptions {
  readonly fault: ChaosFault;
  /** Of the stack. */
  readonly directory: string;
  readonly engine: Address;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly shoppers: number;
  /** Of sale before the fault. */
  readonly warmMs: number;
  /** Starts what does not run any more. */
  readonly restart: () => Promise<void>;
  readonly say: (text: string) => void;
}

export interface ChaosReport {
  readonly fault: ChaosFault;
  readonly primary: string;
  readonly promoted: string | null;
  /** The longest time without a successful reserve. */
  readonly stopped_ms: number | null;
  readonly verdict: Verdict;
}

const FAILOVER_MS_MAX = 60_000;
const AFTER_MS = 3_000;
const GIVE_UP_MS = 30_000;
const CONVERGE_MS_MAX = 60_000;
const RESERVE_LEVELS = { memory: 0.4, replicated: 0.4 };

/** Throws when the fault cannot be done here, or the stores do not come to one position. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { engine, fault, say } = options;
  const history = new History();
  const tag = Date.now().toString(36);
  const skus = { hot: `CHAOS-HOT-${tag}`, ample: `CHAOS-AMPLE-${tag}` };
  await stockUp(engine, history, `chaos-${tag}`, skus);
  const client = createFaultClient({ ...engine, history, connections: options.shoppers + 1 });
  const sale = startSale({
    client,
    name: 'chaos',
    prefix: `chaos-${tag}`,
    seed: tag,
    shoppers: options.shoppers,
    skus,
    reserveLevels: RESERVE_LEVELS,
  });
  try {
    await sleep(options.warmMs);
    const primary = await findPrimary(options.directory);
    say(`${CHAOS[fault].what}: ${primary.name} at ${primary.address}`);
    const injectedMs = performance.now();
    const promoted = await inject(options, primary, history);
    await sleep(AFTER_MS);
    await sale.stop(GIVE_UP_MS);
    const stop = longestStop(history.attempts(), 'chaos', injectedMs);
    say('the sale is over; comparing what clients heard with what the stores say');
    return {
      fault,
      primary: primary.name,
      promoted,
      stopped_ms: stop === undefined ? null : Math.round(stop.ms),
      verdict: await judgeChaos(options, history, Object.values(skus)),
    };
  } finally {
    await sale.stop(0);
    client.close();
  }
}

/** Does it, waits until clients buy again, undoes it; names the node that took over. */
async function inject(
  options: ChaosOptions,
  primary: ServerStatus,
  history: History,
): Promise<string | null> {
  const { fault, directory, say } = options;
  const beganMs = performance.now();
  if (fault === 'flush') {
    const redis = connectRedis({ url: options.redisUrl, name: 'holdfast-chaos', onError: ignore });
    await whenReady(redis, FAILOVER_MS_MAX);
    await redis.flushall();
    redis.disconnect();
    await untilSelling(history);
    return null;
  }
  const hit = fault === 'cut' ? [primary, sentinelBeside(directory, primary)] : [primary];
  const processes = hit.map(processOf);
  for (const each of processes) signalProcess(each, fault === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  try {
    const promoted = await untilPromoted(directory, primary);
    say(`${promoted} is primary after ${seconds(performance.now() - beganMs)}`);
    await untilSelling(history);
    say(`clients buy again after ${seconds(performance.now() - beganMs)}`);
    return promoted;
  } finally {
    // Also when nobody took over: what was stopped is not left so.
    for (const each of processes) if (isRunning(each)) signalProcess(each, 'SIGCONT');
    if (fault === 'kill') await options.restart();
  }
}

async function findPrimary(directory: string): Promise<ServerStatus> {
  const servers = stackStatus(directory, {}).filter(({ store }) => store === 'redis');
  const roles = await Promise.all(servers.map(serverRole));
  const primary = servers.find((_, i) => roles[i] === 'primary');
  if (primary !== undefined) return primary;
  throw new Error(`no primary of a Redis group runs in ${directory}`);
}

/** Another node than this one that says it is primary. */
async function untilPromoted(directory: string, before: ServerStatus): Promise<string> {
  const deadlineMs = performance.now() + FAILOVER_MS_MAX;
  for (;;) {
    const others = stackStatus(directory, {}).filter(
      ({ name, store }) => store === 'redis' && name !== before.name,
    );
    const roles = await Promise.all(others.map(serverRole));
    const promoted = others.find((_, i) => roles[i] === 'primary');
    if (promoted !== undefined) return promoted.name;
    if (performance.now() > deadlineMs) {
      throw new Error(`no other node was promoted within ${FAILOVER_MS_MAX / 1_000} s`);
    }
    await sleep(100);
  }
}

async function untilSelling(history: History): Promise<void> {
  const sinceMs = performance.now();
  while (history.countOk('chaos', 'reserve', sinceMs) === 0) {
    if (performance.now() > sinceMs + FAILOVER_MS_MAX) {
      throw new Error(`nothing was sold for ${FAILOVER_MS_MAX / 1_000} s`);
    }
    await sleep(20);
  }
}

/** redis-2 has sentinel-2 beside it. */
function sentinelBeside(directory: string, { name }: ServerStatus): ServerStatus {
  const wanted = name.replace('redis-', 'sentinel-');
  const sentinel = stackStatus(directory, {}).find((server) => server.name === wanted);
  if (sentinel !== undefined) return sentinel;
  throw new Error(`there is no ${wanted} beside ${name}`);
}

function processOf({ directory, name }: ServerStatus): ProcessIdentity {
  const record = readServerRecord(directory);
  if (record !== undefined && isRunning(record.process)) return record.process;
  throw new Error(`${name} does not run`);
}

async function judgeChaos(
  options: ChaosOptions,
  history: History,
  skus: readonly string[],
): Promise<Verdict> {
  const redis = connectRedis({ url: options.redisUrl, name: 'holdfast-chaos', onError: ignore });
  const pool = createPool({
    url: options.databaseUrl,
    applicationName: 'holdfast-chaos',
    connectionsMax: 2,
    onIdleError: ignore,
  });
  try {
    await whenReady(redis, FAILOVER_MS_MAX);
    const attempts = history.attempts();
    const ids = groupAttempts(attempts).flatMap(({ id }) => (id === undefined ? [] : [id]));
    // The log of a stack that has long been there is read by the audit, which follows.
    const sources = { redis, pool, log: undefined };
    const state = await readFinalState(sources, { skus, ids }, CONVERGE_MS_MAX);
    return judge({ attempts, state, survives: CHAOS[options.fault].survives });
  } finally {
    redis.disconnect();
    await pool.end();
  }
}

const ignore = (): undefined => undefined;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
