/** The conditions of a run: a number without them says nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Redis } from 'ioredis';
import { packageRoot } from '../deploy/local/paths.ts';
import { loadUws } from '../engine/http/uws-load.ts';
import type { Pool } from '../engine/postgres/pool.ts';

export interface Environment {
  readonly at: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gb: number;
  readonly system: string;
  readonly node: string;
  readonly redis: string;
  readonly redis_persistence: string;
  readonly postgres: string;
  readonly http: string;
  /** Of the last minute, before the first phase. */
  readonly load_average: number;
  /** Below LOAD_QUIET: nothing else ran. */
  readonly is_quiet: boolean;
}

/** A core half busy moves latencies by more than what the bench looks for. */
export const LOAD_QUIET = 0.5;

export async function readEnvironment(redis: Redis, pool: Pool): Promise<Environment> {
  const load = loadavg()[0] ?? 0;
  const info = await redis.info('server');
  const { rows } = await pool.query<{ server_version: string }>('SHOW server_version');
  return {
    at: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    redis: /^(?:valkey_version|redis_version):(.+?)\r?$/m.exec(info)?.[1] ?? 'unknown',
    redis_persistence: await persistence(redis),
    postgres: rows[0]?.server_version ?? 'unknown',
    http: await transport(process.env),
    load_average: Math.round(load * 100) / 100,
    is_quiet: load < LOAD_QUIET,
  };
}

/** What an engine that is started in this environment answers with. */
async function transport(env: NodeJS.ProcessEnv): Promise<string> {
  const load = env.HOLDFAST_HTTP === 'node' ? undefined : await loadUws();
  return load?.kind === 'loaded' ? load.uws.packageName : 'node:http';
}

async function persistence(redis: Redis): Promise<string> {
  const [, aof] = await redis.config('GET', 'appendonly');
  const [, fsync] = await redis.config('GET', 'appendfsync');
  return aof === 'yes' ? `AOF, fsync ${fsync}` : 'none';
}

/** Of the checkout; where it is none, as in a package, the package's version. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: packageRoot(), stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    const changed = git('status', '--porcelain') === '' ? '' : ' and changes';
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
  } catch {
    const manifest: unknown = JSON.parse(readFileSync(`${packageRoot()}/package.json`, 'utf8'));
    return `version ${(manifest as { version: string }).version}`;
  }
}

export function renderEnvironment(conditions: Environment): string {
  const { cpu, cores, memory_gb, system, node, redis, redis_persistence, postgres } = conditions;
  const quiet = conditions.is_quiet ? 'quiet' : `NOT QUIET: wait until it is below ${LOAD_QUIET}`;
  return [
    'Conditions',
    `  ${conditions.at}, commit ${conditions.commit}`,
    `  ${cores} cores of ${cpu}, ${memory_gb} GB, ${system}; load average ${conditions.load_average} (${quiet})`,
    `  Node ${node}, HTTP over ${conditions.http}; Redis ${redis} (${redis_persistence}); PostgreSQL ${postgres}`,
    '  Redis, engine, load generator and PostgreSQL share these cores; everything is on loopback',
  ].join('\n');
}
