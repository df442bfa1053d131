/** Starts recover-child.ts for tests: a recovery in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import { CRASH_VARIABLE } from '../../engine/runtime/crash-point.ts';
import type { RecoveryPoint } from './quick-faults.ts';
import { type ChildTarget, TARGET_VARIABLE } from './target.ts';

export interface RecoveryChild {
  readonly process: ChildProcess;
  /** Its report as JSON, or how else it ended. */
  readonly ended: Promise<string>;
}

export function startRecoveryChild(target: ChildTarget, point: RecoveryPoint): RecoveryChild {
  const child = spawn(
    process.execPath,
    [join(packageRoot(), 'dist/reconciler/testing/recover-child.js')],
    {
      env: {
        ...process.env,
        [TARGET_VARIABLE]: JSON.stringify(target),
        [CRASH_VARIABLE]: point,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve(signal ?? (code === 0 ? output : `ended with ${code}: ${output}`)),
    );
  });
  return { process: child, ended };
}

/** Linux: the process has stopped itself. */
export function isStopped({ process: { pid } }: RecoveryChild): boolean {
  try {
    return /^\d+ \(.*\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
