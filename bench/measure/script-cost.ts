/** What a kind of script costs Redis, and how long the longest of them stood in everybody's way. */
import type { Redis } from 'ioredis';
import { type RedisReading, readRedis } from './redis-cpu.ts';
import { timeScripts } from './script-times.ts';

export interface ScriptCost {
  readonly what: string;
  /** CPU of Redis for one of them. */
  readonly cpuUs: number;
  /** By the clock. */
  readonly longestUs: number;
}

/** Few commands that a script calls take so long; the scripts that are looked at take longer. */
const FROM_US = 100;

/** `send` resolves when its scripts were answered: what is timed is a script, not a queue. */
export async function costOfScript(
  redis: Redis,
  what: string,
  times: number,
  send: () => Promise<unknown>,
): Promise<ScriptCost> {
  const before = await readRedis(redis);
  const { longestUs } = await timeScripts(redis, FROM_US, async () => {
    for (let i = 0; i < times; i++) await send();
  });
  const after = await readRedis(redis);
  const scripts = callsOf(after) - callsOf(before);
  return { what, cpuUs: (after.cpuUs - before.cpuUs) / scripts, longestUs };
}

function callsOf({ commands }: RedisReading): number {
  return commands.get('evalsha')?.calls ?? 0;
}
