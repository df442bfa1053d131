/**
 * CPU and memory of processes as Linux counts them, with all that they started: a PostgreSQL is its
 * backends, a server with workers is its workers.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessCost } from '../scenario.ts';

/** USER_HZ: what the fields of /proc/PID/stat count in; 100 on every Linux that Node runs on. */
const US_PER_TICK = 10_000;
/** What /proc/PID/statm counts in; 4 KiB on x86, and on the usual kernels for ARM. */
const PAGE_BYTES = 4_096;

/** Those that are shown as one. */
export interface ProcessGroup {
  readonly name: ProcessCost['name'];
  readonly pids: readonly number[];
}

export interface ProcessReading {
  readonly name: ProcessCost['name'];
  /** Us since its start, by process: one that was replaced must not count as negative. */
  readonly cpuUs: ReadonlyMap<number, number>;
  readonly rssBytes: number;
}

interface ProcessTimes {
  readonly parent: number;
  readonly ownTicks: number;
  /** Of children that have ended. */
  readonly reapedTicks: number;
}

/** Groups that have no process are left out. */
export function readProcesses(groups: readonly ProcessGroup[]): ProcessReading[] {
  const tree = readTree();
  return groups
    .filter(({ pids }) => pids.length > 0)
    .map(({ name, pids }) => ({
      name,
      cpuUs: new Map(pids.map((pid) => [pid, tree?.cpuUsOf(pid) ?? Number.NaN])),
      rssBytes: pids.reduce((sum, pid) => sum + (tree?.rssBytesOf(pid) ?? Number.NaN), 0),
    }));
}

/** A process that is new since `before` began at nothing. */
export function costsBetween(
  before: readonly ProcessReading[],
  after: readonly ProcessReading[],
): ProcessCost[] {
  return after.map(({ name, cpuUs, rssBytes }) => {
    const known = before.find((each) => each.name === name)?.cpuUs;
    const spent = [...cpuUs].map(([pid, us]) => us - (known?.get(pid) ?? 0));
    return { name, cpuUs: spent.reduce((sum, us) => sum + us, 0), rssBytes };
  });
}

/** Us since their starts, with all descendants; NaN where the system does not tell (no Linux). */
export function cpuUsOf(pids: readonly number[]): number {
  const tree = readTree();
  return pids.reduce((sum, pid) => sum + (tree?.cpuUsOf(pid) ?? Number.NaN), 0);
}

interface ProcessTree {
  cpuUsOf(pid: number): number;
  rssBytesOf(pid: number): number;
}

/** All processes of this moment; undefined where the system does not tell. */
function readTree(): ProcessTree | undefined {
  const all = readAll();
  if (all === undefined) return undefined;
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of all) {
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const sumOf = (pid: number, of: (pid: number) => number): number =>
    (children.get(pid) ?? []).reduce((sum, child) => sum + sumOf(child, of), of(pid));
  return {
    cpuUsOf: (root) =>
      US_PER_TICK *
      sumOf(root, (pid) => {
        const times = all.get(pid);
        return times === undefined ? 0 : times.ownTicks + times.reapedTicks;
      }),
    // What a child shares with its parent is there once: PostgreSQL's buffers.
    rssBytesOf: (root) => sumOf(root, (pid) => residentBytes(pid, pid === root)),
  };
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

function residentBytes(pid: number, withShared: boolean): number {
  try {
    return parseResident(readFileSync(`/proc/${pid}/statm`, 'utf8'), withShared);
  } catch {
    return 0;
  }
}

/** proc(5): size, resident, and of that the pages shared with files and other processes. */
export function parseResident(statm: string, withShared: boolean): number {
  const [, resident = 0, shared = 0] = statm.split(' ').map(Number);
  return (withShared ? resident : resident - shared) * PAGE_BYTES;
}
