/** CPU of processes as Linux counts it, those that they started and outlived included. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: what the fields of /proc/PID/stat count in; 100 on every Linux that Node runs on. */
const US_PER_TICK = 10_000;

interface ProcessTimes {
  readonly parent: number;
  readonly ownTicks: number;
  /** Of children that have ended. */
  readonly reapedTicks: number;
}

/** Us since their starts, with all descendants; NaN where the system does not tell (no Linux). */
export function cpuUsOf(pids: readonly number[]): number {
  const all = readAll();
  if (all === undefined) return Number.NaN;
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of all) {
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const ticksOf = (pid: number): number => {
    const times = all.get(pid);
    if (times === undefined) return 0;
    const below = (children.get(pid) ?? []).reduce((sum, child) => sum + ticksOf(child), 0);
    return times.ownTicks + times.reapedTicks + below;
  };
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) * US_PER_TICK;
}

function readAll(): Map<number, ProcessTimes> | undefined {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return new Map(
      pids.flatMap((pid) => {
        const times = readTimes(pid);
        return times === undefined ? [] : [[Number(pid), times]];
      }),
    );
  } catch {
    return undefined;
  }
}

function readTimes(pid: string): ProcessTimes | undefined {
  try {
    return parseTimes(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** proc(5): after the name, which may hold spaces and brackets, state is 3, ppid 4, utime 14. */
export function parseTimes(stat: string): ProcessTimes {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    parent: field(4),
    ownTicks: field(14) + field(15),
    reapedTicks: field(16) + field(17),
  };
}
