/** The conditions of a run: a number without them says nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
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
  /** What the kernel tells time by: with `tsc` a reading costs nothing, with others a call. */
  readonly clock: string;
  /** How the cores' speed is chosen; unknown where a hypervisor does it. */
  readonly governor: string;
  /** Of the container, if any. */
  readonly limits: string;
  /** HOLDFAST_... of the shell: the processes have them wherever the bench sets no others. */
  readonly settings: string;
  /** Of the disk below the servers' data: 4 KiB appended and synchronized, ms. */
  readonly fsync_ms: { readonly p50: number; readonly p99: number };
}

/** A core half busy moves latencies by more than what the bench looks for. */
export const LOAD_QUIET = 0.5;
const FSYNC_PROBES = 100;
const FSYNC_BYTES = 4_096;

/** `directory`: on the disk where the servers have their data. */
export async function readEnvironment(
  redis: Redis,
  pool: Pool,
  directory = tmpdir(),
): Promise<Environment> {
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
    clock: kernelSays('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
    governor: kernelSays('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    limits: containerLimits(),
    settings: settingsIn(process.env),
    fsync_ms: await measureFsync(directory),
  };
}

function kernelSays(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

/** Of cgroup v2, at the root that a container sees; `max` is no limit. */
function containerLimits(): string {
  const [quota = 'max', period = ''] = kernelSays('/sys/fs/cgroup/cpu.max').split(' ');
  const memory = Number(kernelSays('/sys/fs/cgroup/memory.max'));
  const limits = [
    ...(Number(quota) > 0 ? [`${(Number(quota) / Number(period)).toFixed(1)} cores`] : []),
    ...(memory > 0 ? [`${(memory / 2 ** 30).toFixed(1)} GB`] : []),
  ];
  return limits.length === 0 ? 'none' : limits.join(', ');
}

/** No settings of the product: the tests' own, and where a binary of Redis is, whose version is told. */
const OTHERS = /^HOLDFAST_(?:TEST_|FAULT_|REDIS_SERVER$)/;

/** Sorted; `none` without any. */
export function settingsIn(env: NodeJS.ProcessEnv): string {
  const names = Object.keys(env).filter(
    (name) => name.startsWith('HOLDFAST_') && !OTHERS.test(name),
  );
  return names.length === 0
    ? 'none'
    : names
        .sort()
        .map((name) => `${name}=${env[name]}`)
        .join(' ');
}

async function measureFsync(directory: string): Promise<Environment['fsync_ms']> {
  const path = join(directory, 'fsync-probe');
  const file = await open(path, 'a');
  const block = Buffer.alloc(FSYNC_BYTES, 1);
  const times: number[] = [];
  try {
    for (let i = 0; i < FSYNC_PROBES; i++) {
      const startMs = performance.now();
      await file.write(block);
      await file.datasync();
      times.push(performance.now() - startMs);
    }
  } finally {
    await file.close();
    await rm(path);
  }
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.ceil(part * times.length) - 1] ?? Number.NaN;
  const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;
  return { p50: rounded(at(0.5)), p99: rounded(at(0.99)) };
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
  const { clock, governor, limits, settings, fsync_ms } = conditions;
  const quiet = conditions.is_quiet ? 'quiet' : `NOT QUIET: wait until it is below ${LOAD_QUIET}`;
  return [
    'Conditions',
    `  ${conditions.at}, commit ${conditions.commit}`,
    `  ${cores} cores of ${cpu}, ${memory_gb} GB, ${system}; load average ${conditions.load_average} (${quiet})`,
    `  Node ${node}, HTTP over ${conditions.http}; Redis ${redis} (${redis_persistence}); PostgreSQL ${postgres}`,
    `  clock ${clock}, governor ${governor}, limits of the container: ${limits}; fsync of 4 KiB ${fsync_ms.p50} ms (p99 ${fsync_ms.p99})`,
    ...(settings === 'none' ? [] : [`  settings of the shell: ${settings}`]),
    '  Redis, engine, load generator and PostgreSQL share these cores; everything is on loopback',
  ].join('\n');
}
