/**
 * Who a process is, beyond its pid. Pids are recycled, in containers within seconds of a restart,
 * so a pid alone is never a licence to kill: a process is named by its pid and the moment it
 * started, and is signalled only while both still hold.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque, equal only for the same process: boot id and start tick on Linux, `ps lstart` elsewhere. */
  readonly startedAt: string;
}

/** The identity of a live process; undefined when there is none (a zombie counts as none). */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? linuxStart(pid) : portableStart(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** The identity of the process that runs this code. */
export function identifySelf(): ProcessIdentity {
  const self = identifyProcess(process.pid);
  if (self === undefined) {
    throw new Error(`cannot read the start time of our own process ${process.pid}`);
  }
  return self;
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** Whether a process of this pid has ended, and its parent has not heard of it. */
export function isZombie(pid: number): boolean {
  if (!(pid > 0) || identifyProcess(pid) !== undefined) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Signals the process only while it is still the one that was named; says whether it was. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** Whether a value read from a file is one. */
export function isProcessIdentity(value: unknown): value is ProcessIdentity {
  if (typeof value !== 'object' || value === null) return false;
  const identity: Partial<Record<keyof ProcessIdentity, unknown>> = value;
  return typeof identity.pid === 'number' && typeof identity.startedAt === 'string';
}

/** Reads the fields after the command name of /proc/PID/stat, whose name may hold spaces and brackets. */
export function parseLinuxStat(stat: string): { state: string; startTick: string } | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  const state = fields[0];
  const startTick = fields[19];
  return state === undefined || startTick === undefined ? undefined : { state, startTick };
}

function linuxStart(pid: number): string | undefined {
  try {
    const stat = parseLinuxStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    // Z and X: dead, but not yet reaped. Where PID 1 reaps no orphans (many containers) they stay.
    if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${stat.startTick}`;
  } catch {
    return undefined;
  }
}

function portableStart(pid: number): string | undefined {
  const result = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const line = result.stdout?.trim() ?? '';
  if (result.status !== 0 || line === '' || line.startsWith('Z')) return undefined;
  return line.replace(/^\S+\s+/, '');
}

function isErrnoException(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}
