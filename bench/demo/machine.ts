/** Where the demo ran, and what it spent there: what a machine can do shows in its CPU time, however busy it is. */
import { arch, cpus, platform, totalmem } from 'node:os';
import type { Api } from './api.ts';
import type { Probe } from './probe.ts';

export async function describeMachine({
  redis,
  pool,
}: Pick<Probe, 'redis' | 'pool'>): Promise<Readonly<Record<string, string | number>>> {
  const info = await redis.info('server');
  const { rows } = await pool.query<{ server_version: string }>('SHOW server_version');
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    redis: /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown',
    postgres: rows[0]?.server_version ?? 'unknown',
  };
}

/** Seconds of CPU, user and system, since each process began. */
export interface CpuUse {
  /** With relay, persister and recovery, which run in the same process. */
  readonly engine: number;
  readonly load_generator: number;
  readonly redis: number;
}

export async function readCpu(api: Api, { redis }: Pick<Probe, 'redis'>): Promise<CpuUse> {
  const [metrics, info] = await Promise.all([api.text('/metrics'), redis.info('cpu')]);
  const own = process.cpuUsage();
  return {
    engine: numberIn(metrics, /^process_cpu_seconds_total (\S+)/m),
    load_generator: (own.user + own.system) / 1_000_000,
    redis: numberIn(info, /^used_cpu_user:(\S+)/m) + numberIn(info, /^used_cpu_sys:(\S+)/m),
  };
}

export function cpuBetween(before: CpuUse, after: CpuUse): CpuUse {
  return {
    engine: after.engine - before.engine,
    load_generator: after.load_generator - before.load_generator,
    redis: after.redis - before.redis,
  };
}

/** NaN, which is no number in JSON, would hide what is wrong. */
function numberIn(text: string, pattern: RegExp): number {
  const value = Number(pattern.exec(text)?.[1]);
  if (Number.isNaN(value)) throw new Error(`no number ${pattern} in what was to tell the CPU used`);
  return value;
}
