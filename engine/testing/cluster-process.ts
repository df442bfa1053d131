/** `holdfast serve --workers N` as processes of their own, whose pids and last words a test sees. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import { Signal } from '../http/test-wire.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ClusterProcess {
  /** Of the supervisor. */
  readonly pid: number;
  /** By place, from 1: the pid of the worker that was started there last. */
  readonly workers: ReadonlyMap<number, number>;
  readonly stdout: string;
  readonly stderr: string;
  readonly ended: Promise<Ended>;
  /** The address that it says when it is ready; rejects when it ends before. */
  url(): Promise<string>;
  /** Resolves when its log has so many lines with these words. */
  logged(words: string, times?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, unless it has ended; resolves when it has. */
  stop(): Promise<void>;
}

const DEADLINE_MS = 90_000;

export function spawnCluster(
  workers: number,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = ['--port', '0'],
): ClusterProcess {
  const main = join(packageRoot(), 'dist/engine/main.js');
  const child = spawn(process.execPath, [main, 'serve', '--workers', String(workers), ...args], {
    env: { ...process.env, HOLDFAST_SETTINGS_CHECK: 'warn', ...env, HOLDFAST_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new SpawnedCluster(child);
}

class SpawnedCluster implements ClusterProcess {
  readonly pid: number;
  readonly workers = new Map<number, number>();
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #signal = new Signal();
  #hasEnded = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += String(chunk);
      this.#signal.changed();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += String(chunk);
      this.#readWorkers();
      this.#signal.changed();
    });
    // It ends with us; its workers then end by themselves.
    const killNow = (): void => void child.kill('SIGKILL');
    process.once('exit', killNow);
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        process.off('exit', killNow);
        this.#hasEnded = true;
        this.#signal.changed();
        resolve({ code, signal });
      });
    });
  }

  async url(): Promise<string> {
    const found = () => /https?:\/\/[^\s/]+/.exec(this.stdout)?.[0];
    await this.#until(() => found() !== undefined || this.#hasEnded, 'it is not ready');
    const url = found();
    if (url === undefined) throw new Error(`it ended before it was ready:\n${this.stderr}`);
    return url;
  }

  async logged(words: string, times = 1): Promise<void> {
    const count = () => this.stderr.split(words).length - 1;
    await this.#until(() => count() >= times, `it does not say "${words}" ${times} times`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.kill('SIGTERM');
    await this.ended;
  }

  #until(check: () => boolean, what: string): Promise<void> {
    return this.#signal.until(check, () => `${what}:\n${this.stderr.slice(-4_000)}`, DEADLINE_MS);
  }

  #readWorkers(): void {
    const started = /"worker":(\d+),"worker_pid":(\d+),"msg":"a worker starts"/g;
    for (const [, place, pid] of this.stderr.matchAll(started)) {
      this.workers.set(Number(place), Number(pid));
    }
  }
}

/** Resolves when no such process is left; one that another parent has yet to collect counts as gone. */
export async function untilGone(pids: Iterable<number>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (const pid of pids) {
    while (isRunning(pid)) {
      if (performance.now() > deadline) throw new Error(`process ${pid} does not end`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
