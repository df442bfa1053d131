/**
 * What each durability level costs one caller on an idle system: reserves, then commits them one
 * after another over HTTP, each preferring a level; the levels take turns, so that a minute of noise
 * hits all alike. On a Redis group where there is one.
 */

import { startAll } from '../../engine/cli/roles.ts';
import { DURABILITY_LEVELS, type DurabilityLevel } from '../../engine/domain/durability.ts';
import type { FsyncProof } from '../../engine/redis/durability-support.ts';
import { readConfig } from '../../engine/runtime/config.ts';
import { createLogger } from '../../engine/runtime/log.ts';
import { createHttpClient, type HttpClient } from '../load/client.ts';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface CommitLatencyReport {
  readonly commits: number;
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
  readonly onProgress: (what: string) => void;
}

const SKU = 'LATENCY-1';
const API = '/api/v1';

/** `stores`: REDIS_URL, DATABASE_URL; they are the bench's own. Throws when an answer is a refusal. */
export async function runCommitLatency(
  stores: Readonly<Record<string, string>>,
  { commits, rounds, onProgress }: CommitLatencyOptions,
): Promise<CommitLatencyReport> {
  const config = readConfig({
    ...stores,
    HOLDFAST_PORT: '0',
    HOLDFAST_TTL_MAX: '3600',
    HOLDFAST_SETTINGS_CHECK: 'warn',
  });
  const serving = await startAll({ config, log: createLogger('bench', 'silent') });
  const latencies = new LatencyBook();
  const { hostname: host, port } = new URL(serving.url);
  const client = createHttpClient({ host, port: Number(port), maxConnections: 1, latencies });
  try {
    const ask = askerOf(client);
    await stockUp(ask, commits * (rounds + 1) * DURABILITY_LEVELS.length);
    const { lacks } = serving.engine.policy;
    const given = DURABILITY_LEVELS.filter((level) => lacks[level] === undefined);
    // The first round is warm-up.
    for (let round = 0; round <= rounds; round++) {
      onProgress(`commit-latency: round ${round} of ${rounds}`);
      if (round === 1) latencies.reset();
      for (const level of given) await commitEach(ask, level, commits);
    }
    return {
      commits: commits * rounds,
      replicas: serving.engine.support?.replicas ?? 0,
      fsync: serving.engine.support?.fsync ?? 'never',
      levels: DURABILITY_LEVELS.map((level) => ({
        level,
        latency: lacks[level] === undefined ? latencies.summary(level) : undefined,
        lack: lacks[level],
      })),
    };
  } finally {
    client.close();
    await serving.close();
  }
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
