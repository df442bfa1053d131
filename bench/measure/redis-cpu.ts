/** What Redis spent: CPU of its main thread, and of each command. */
import type { Redis } from 'ioredis';

export interface RedisReading {
  /** User and system time, us: of the main thread where Redis tells, else of the process. */
  readonly cpuUs: number;
  readonly usedMemoryBytes: number;
  readonly rssBytes: number;
  readonly commands: ReadonlyMap<string, CommandStat>;
}

export interface CommandStat {
  readonly calls: number;
  readonly us: number;
}

export async function readRedis(redis: Redis): Promise<RedisReading> {
  const info = fields(await redis.info('cpu', 'memory', 'commandstats'));
  const number = (name: string): number | undefined => {
    const value = Number(info.get(name));
    return Number.isNaN(value) ? undefined : value;
  };
  const seconds =
    sum(number('used_cpu_user_main_thread'), number('used_cpu_sys_main_thread')) ??
    sum(number('used_cpu_user'), number('used_cpu_sys'));
  const commands = new Map<string, CommandStat>();
  for (const [name, value] of info) {
    const [, calls, us] = /^calls=(\d+),usec=(\d+)/.exec(value) ?? [];
    if (!name.startsWith('cmdstat_') || calls === undefined) continue;
    commands.set(name.slice('cmdstat_'.length), { calls: Number(calls), us: Number(us) });
  }
  return {
    cpuUs: (seconds ?? Number.NaN) * 1e6,
    usedMemoryBytes: number('used_memory') ?? Number.NaN,
    rssBytes: number('used_memory_rss') ?? Number.NaN,
    commands,
  };
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

function fields(info: string): Map<string, string> {
  return new Map(
    info
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

/** Commands by the time that they took between two readings, the costliest first. */
export function commandsBetween(
  before: RedisReading,
  after: RedisReading,
): { readonly name: string; readonly calls: number; readonly us: number }[] {
  return [...after.commands]
    .map(([name, { calls, us }]) => {
      const known = before.commands.get(name) ?? { calls: 0, us: 0 };
      return { name, calls: calls - known.calls, us: us - known.us };
    })
    .filter(({ calls }) => calls > 0)
    .sort((a, b) => b.us - a.us);
}

export interface ProfileRow {
  readonly what: string;
  readonly us: number;
}

/** Where the time of an operation goes: the script, and of it each command that it called. */
export function redisProfile(
  spent: readonly { readonly name: string; readonly us: number }[],
  threadUs: number,
  operations: number,
): ProfileRow[] {
  const commands = spent.map(({ name, us }) => ({ what: name, us: us / operations }));
  const script = commands.find(({ what }) => what === 'evalsha')?.us ?? 0;
  const called = commands.filter(({ what }) => what !== 'evalsha');
  const lua = script - called.reduce((sum, { us }) => sum + us, 0);
  return [
    { what: 'Lua itself', us: lua },
    ...called.filter(({ us }) => us >= 0.01),
    // The commands are timed by the clock: on a busy machine the script's time exceeds the CPU's.
    {
      what: 'reading, replying, append-only file',
      us: Math.max(0, threadUs / operations - script),
    },
  ];
}
