/**
 * How long Redis stood in one script: what everybody else waits for. From its SLOWLOG, which times
 * each by the clock, so on a busy machine a script that lost the core counts as longer than it was.
 */
import type { Redis } from 'ioredis';
import { scriptDigest } from '../../engine/redis/script.ts';
import { SCRIPTS, type ScriptName } from '../../lua/generated/scripts.ts';

export interface ScriptTimes extends TimesOfOne {
  /** The longest first; whoever is none of the lane's scripts is 'other'. */
  readonly byName: ReadonlyMap<ScriptName | 'other', TimesOfOne>;
}

export interface TimesOfOne {
  /** Of scripts that took `fromUs` or longer. */
  readonly count: number;
  readonly p50Us: number;
  readonly longestUs: number;
}

/** More than the scripts of a scenario, with the long ones of their commands. */
const ENTRIES_MAX = 20_000;
const NAMES = new Map(
  (Object.keys(SCRIPTS) as ScriptName[]).map((name) => [scriptDigest(name), name]),
);
/** The slow log also has the commands that a script called. */
const CALLS_A_SCRIPT = new Set(['evalsha', 'eval']);

/**
 * Runs the work, and gives the scripts that took `fromUs` or longer meanwhile. Throws when the log
 * was full, because its oldest entries are gone then, with the longest maybe: a greater `fromUs`
 * leaves the short commands of the scripts out.
 */
export async function timeScripts(
  redis: Redis,
  fromUs: number,
  work: () => Promise<void>,
): Promise<ScriptTimes> {
  const names = ['slowlog-log-slower-than', 'slowlog-max-len'] as const;
  const before: string[] = [];
  for (const name of names) before.push(await readSetting(redis, name));
  await redis.config('SET', 'slowlog-log-slower-than', fromUs, 'slowlog-max-len', ENTRIES_MAX);
  try {
    await redis.slowlog('RESET');
    await work();
    if (Number(await redis.slowlog('LEN')) >= ENTRIES_MAX) {
      throw new Error(`Redis' slow log was full: ${ENTRIES_MAX} took ${fromUs} us or longer`);
    }
    return timesOf((await redis.slowlog('GET', ENTRIES_MAX)) as readonly SlowEntry[]);
  } finally {
    for (const [i, name] of names.entries()) await redis.config('SET', name, before[i] ?? '');
    await redis.slowlog('RESET');
  }
}

/** Id, when, us, the command with its arguments. */
export type SlowEntry = readonly [id: number, at: number, us: number, command: readonly string[]];

export function timesOf(entries: readonly SlowEntry[]): ScriptTimes {
  const scripts = entries.filter(([, , , [name = '']]) => CALLS_A_SCRIPT.has(name.toLowerCase()));
  const named = new Map<ScriptName | 'other', SlowEntry[]>();
  for (const entry of scripts) {
    const [, , , [, digest = '']] = entry;
    const name = NAMES.get(digest) ?? 'other';
    const own = named.get(name);
    if (own === undefined) named.set(name, [entry]);
    else own.push(entry);
  }
  const byName = [...named].map(([name, own]) => [name, summaryOf(own)] as const);
  byName.sort(([, a], [, b]) => b.longestUs - a.longestUs);
  return { ...summaryOf(scripts), byName: new Map(byName) };
}

function summaryOf(entries: readonly SlowEntry[]): TimesOfOne {
  const us = entries.map(([, , each]) => each).sort((a, b) => a - b);
  return {
    count: us.length,
    p50Us: us[Math.ceil(us.length / 2) - 1] ?? 0,
    longestUs: us.at(-1) ?? 0,
  };
}

async function readSetting(redis: Redis, name: string): Promise<string> {
  const [, value = ''] = (await redis.config('GET', name)) as string[];
  return value;
}
