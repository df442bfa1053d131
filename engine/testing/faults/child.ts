/**
 * A process of the product under test: started, killed, stopped and woken, its log kept in a file for
 * whoever looks into a violation.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../../../deploy/local/paths.ts';

export interface ChildOptions {
  /** Below dist/. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** All its connections leave from here. */
  readonly localAddress?: string | undefined;
  readonly logPath: string;
}

export interface Child {
  readonly pid: number;
  readonly isRunning: boolean;
  /** The signal that ended it. */
  readonly endedBy: NodeJS.Signals | undefined;
  /** The line that it printed when it was ready. */
  readonly readyLine: string;
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  pause(): void;
  resume(): void;
}

/** It ended, or did not become ready; the message says which, with the end of its log. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
  readonly endedBy: NodeJS.Signals | undefined;

  constructor(message: string, endedBy: NodeJS.Signals | undefined) {
    super(message);
    this.endedBy = endedBy;
  }
}

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;
const LOG_TAIL = 3_000;

/** Resolves when it has printed its first line; rejects with a ChildError when it ends before. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const log = openSync(options.logPath, 'a');
  const child = spawn(
    process.execPath,
    [...importsOf(options), join(packageRoot(), 'dist', options.program), ...options.args],
    {
      env: {
        ...process.env,
        ...options.env,
        HOLDFAST_FAULT_LOCAL_ADDRESS: options.localAddress ?? '',
      },
      stdio: ['ignore', 'pipe', log],
    },
  );
  closeSync(log);
  let isRunning = true;
  let endedBy: NodeJS.Signals | undefined;
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', (_, signal) => {
      endedBy = signal ?? undefined;
      resolve();
    });
  }).then(() => {
    isRunning = false;
    process.off('exit', killNow);
  });
  const kill = async (signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> => {
    child.kill(signal);
    // A stopped process takes no other signal than SIGKILL before it goes on.
    child.kill('SIGCONT');
    const lastResort = setTimeout(killNow, STOP_MS_MAX);
    await ended;
    clearTimeout(lastResort);
  };
  try {
    const readyLine = await firstLine(child, ended);
    return {
      pid: child.pid ?? 0,
      get isRunning() {
        return isRunning;
      },
      get endedBy() {
        return endedBy;
      },
      readyLine,
      kill,
      pause: () => void child.kill('SIGSTOP'),
      resume: () => void child.kill('SIGCONT'),
    };
  } catch (error) {
    const before = endedBy;
    await kill();
    const tail = readFileSync(options.logPath, 'utf8').slice(-LOG_TAIL);
    const reason = error instanceof Error ? error.message : String(error);
    throw new ChildError(
      `${options.program} ${options.args.join(' ')}: ${reason}\n${tail}`,
      before,
    );
  }
}

function importsOf({ localAddress }: ChildOptions): string[] {
  if (localAddress === undefined) return [];
  const file = join(packageRoot(), 'dist/engine/testing/faults/local-address.js');
  return ['--import', pathToFileURL(file).href];
}

function firstLine(child: ChildProcess, ended: Promise<void>): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(what));
    };
    const timer = setTimeout(() => fail(`not ready after ${READY_MS_MAX} ms`), READY_MS_MAX);
    void ended.then(() => fail('ended before it was ready'));
    if (child.stdout === null) return fail('has no stdout');
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer);
      resolve(line);
    });
  });
}
