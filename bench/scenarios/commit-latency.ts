/**
 * What each durability level costs one caller on an idle system: reserves, then commits them one
 * after another over HTTP, each preferring a level; the levels take turns, so that a minute of noise
 * hits all alike. On a Redis group with Sentinels.
 */
import { type Serving, startAll } from '../../engine/cli/roles.ts';
import { DURABILITY_LEVELS, type DurabilityLevel } from '../../engine/domain/durability.ts';
import type { FsyncProof } from '../../engine/redis/durability-support.ts';
import { readConfig } from '../../engine/runtime/config.ts';
import { createLogger } from '../../engine/runtime/log.ts';
import { atMost } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { createHttpClient, type HttpClient } from '../load/client.ts';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';
import { differenceWords } from '../measure/difference-words.ts';
import type { AuditReport, Bench, Stores } from '../scenario.ts';
import { createShop } from './shop.ts';

interface CommitLatencyReport {
  /** Measured at each level. */
  readonly commits: number;
  /** Received, and sold by all commits, those of the warm-up too. */
  readonly units: number;
  readonly sold: number;
  readonly replicas: number;
  /** How Redis tells what is on its disk. */
  readonly fsync: FsyncProof;
  readonly levels: readonly {
    readonly level: DurabilityLevel;
    /** Undefined: this Redis cannot give it, for this reason. */
    readonly latency: LatencySummary | undefined;
    readonly lack: string | undefined;
  }[];
}

export interface CommitLatencyOptions {
  /** Commits at each level in each round. */
  readonly commits: number;
  readonly rounds: number;
}

const SKU = 'LATENCY-1';
const API = '/api/v1';
/** The design's, of p99 at `logged`. */
const LOGGED_MS_MAX = 30;

export const commitLatency = defineScenario<CommitLatencyOptions>({
  name: 'commit-latency',
  about: "one caller's commit at each durability level, on a Redis group with Sentinels",
  runs: 'always',
  fullSeconds: 22,
  full: { commits: 200, rounds: 5 },
  quick: { commits: 30, rounds: 2 },
  run,
});

/** Throws when an answer is a refusal. */
async function run(
  { openStores, onProgress }: Bench,
  options: CommitLatencyOptions,
): Promise<Findings> {
  const stores = await openStores({ topology: 'sentinel' });
  const config = readConfig({
    ...stores.env,
    HOLDFAST_PORT: '0',
    HOLDFAST_TTL_MAX: '3600',
    HOLDFAST_SETTINGS_CHECK: 'warn',
  });
  // In this process: which levels there are is asked of the engine itself.
  const serving = await startAll({ config, log: createLogger('bench', 'silent') });
  try {
    const measured = await measureLevels(serving, options, onProgress);
    onProgress('audit');
    return toReport(measured, await auditUnits(serving, stores, measured));
  } finally {
    await serving.close();
    await stores.close();
  }
}

async function measureLevels(
  { url, engine }: Serving,
  { commits, rounds }: CommitLatencyOptions,
  onProgress: Bench['onProgress'],
): Promise<CommitLatencyReport> {
  const latencies = new LatencyBook();
  const { hostname: host, port } = new URL(url);
  const client = createHttpClient({ host, port: Number(port), maxConnections: 1, latencies });
  try {
    const ask = askerOf(client);
    const units = commits * (rounds + 1) * DURABILITY_LEVELS.length;
    await stockUp(ask, units);
    const { lacks } = engine.policy;
    const given = DURABILITY_LEVELS.filter((level) => lacks[level] === undefined);
    // The first round is warm-up.
    for (let round = 0; round <= rounds; round++) {
      onProgress(`round ${round} of ${rounds}`);
      if (round === 1) latencies.reset();
      for (const level of given) await commitEach(ask, level, commits);
    }
    return {
      commits: commits * rounds,
      units,
      sold: commits * (rounds + 1) * given.length,
      replicas: engine.support?.replicas ?? 0,
      fsync: engine.support?.fsync ?? 'never',
      levels: DURABILITY_LEVELS.map((level) => ({
        level,
        latency: lacks[level] === undefined ? latencies.summary(level) : undefined,
        lack: lacks[level],
      })),
    };
  } finally {
    client.close();
  }
}

async function auditUnits(
  { url }: Serving,
  { redis, env }: Stores,
  { units, sold }: CommitLatencyReport,
): Promise<AuditReport> {
  const { hostname: host, port } = new URL(url);
  const shop = createShop({ url, host, port: Number(port) }, redis, env);
  await shop.whenPersisted();
  const { available, reserved } = await shop.balances(SKU);
  const differences = await shop.audit();
  return {
    ok: available === units - sold && reserved === 0 && differences.length === 0,
    words: [
      `${sold} commits were answered, ${units - available} of ${units} units are gone, ${reserved} are held`,
      ...differenceWords(differences),
    ],
  };
}

function toReport(report: CommitLatencyReport, audit: AuditReport): Findings {
  const { commits, replicas, fsync, levels } = report;
  const given = levels.flatMap(({ level, latency }) =>
    latency === undefined ? [] : [{ level, latency }],
  );
  const logged = given.find(({ level }) => level === 'logged')?.latency;
  const lower = { unit: 'ms', better: 'lower' } as const;
  return {
    phases: [],
    facts: given.flatMap(({ level, latency }) => [
      { what: `commit at ${level}, p50`, value: latency.p50Ms, ...lower },
      { what: `commit at ${level}, p99`, value: latency.p99Ms, ...lower },
    ]),
    series: [],
    budgets:
      logged === undefined
        ? []
        : [atMost('commit at logged, idle, p99', logged.p99Ms, LOGGED_MS_MAX, 'ms')],
    audit,
    tables: [
      {
        title: `Commit of one caller on an idle system, ms over HTTP: ${commits} at each level, in turns; Redis with ${replicas} replicas, which tells of its disk by: ${fsync}; the log is embedded`,
        head: ['level', 'p50', 'p90', 'p99', 'p99.9', 'max'],
        rows: levels.map(({ level, latency, lack }) =>
          latency === undefined
            ? [level, `not given: ${lack ?? ''}`, '', '', '', '']
            : [level, ...msOf(latency)],
        ),
      },
    ],
  };
}

function msOf({ p50Ms, p90Ms, p99Ms, p999Ms, maxMs }: LatencySummary): string[] {
  return [p50Ms, p90Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(2));
}

type Ask = (
  method: 'POST' | 'PUT',
  path: string,
  body: unknown,
  label?: string,
) => Promise<Readonly<Record<string, unknown>>>;

/** `label`: the level that it prefers, under which its latency is recorded. */
function askerOf(client: HttpClient): Ask {
  return async (method, path, body, label) => {
    const headers = {
      'content-type': 'application/json',
      ...(label !== undefined && { prefer: `durability=${label}` }),
    };
    const options = { label: label ?? 'preparation' };
    const text = JSON.stringify(body);
    const answer = await client.request(method, `${API}${path}`, headers, text, options);
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as Readonly<Record<string, unknown>>;
  };
}

async function stockUp(ask: Ask, quantity: number): Promise<void> {
  await ask('PUT', '/warehouses/A', { name: 'A' });
  await ask('PUT', `/products/${SKU}`, {});
  await ask('POST', '/stock/receive', { sku_id: SKU, warehouse_id: 'A', quantity });
}

async function commitEach(ask: Ask, level: DurabilityLevel, commits: number): Promise<void> {
  const ids: unknown[] = [];
  for (let i = 0; i < commits; i++) {
    const held = await ask('POST', '/inventory/reserve', [{ sku_id: SKU, quantity: 1 }]);
    ids.push(held.reservation_id);
  }
  for (const id of ids) {
    const { status } = await ask('POST', '/inventory/commit', { reservation_id: id }, level);
    if (status !== 'committed') throw new Error(`a commit was answered ${String(status)}`);
  }
}
