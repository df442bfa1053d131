/**
 * A PostgreSQL that hangs whole, as on a machine that is paused or cut off: its connections stay open
 * and nobody answers on them. Stopping the postmaster alone would leave its backends at work.
 */
import { execFileSync } from 'node:child_process';
import type { TestPostgres } from '../../testing/servers.ts';

/** The function that wakes it. */
export function hang(postgres: TestPostgres): () => void {
  const postmaster = postgres.pid;
  // First, so that it makes no further backend.
  process.kill(postmaster, 'SIGSTOP');
  const stopped = [postmaster, ...childrenOf(postmaster)];
  for (const pid of stopped) signal(pid, 'SIGSTOP');
  return () => {
    for (const pid of stopped.reverse()) signal(pid, 'SIGCONT');
  };
}

function childrenOf(parent: number): number[] {
  const table = execFileSync('ps', ['-ax', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // A backend that ended between the list and the signal.
  }
}
