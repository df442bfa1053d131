/**
 * The engine with all its workers as a child process: `holdfast dev` on the servers that the environment names.
 * It has a record as the stack's servers have one, so that the next demo ends what a killed one left running.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../deploy/local/paths.ts';
import { identifyProcess, identifySelf } from '../../deploy/local/process-identity.ts';
import {
  endServer,
  logPath,
  logTail,
  writeServerRecord,
} from '../../deploy/local/server-process.ts';

export interface EngineProcess {
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the process is gone, to how it ended. */
  readonly ended: Promise<string>;
  /** Ends it in order, and by force when that takes too long. */
  stop(): Promise<void>;
}

export interface EngineProcessOptions {
  /** Of the stack. */
  readonly directory: string;
  readonly port: number;
  readonly log: 'kafka' | 'embedded';
  readonly env: NodeJS.ProcessEnv;
}

/** A fresh broker answers "coordinator is loading" for seconds. */
const READY_MS = 60_000;
const STOP_MS = 10_000;

export async function startEngineProcess(options: EngineProcessOptions): Promise<EngineProcess> {
  const { port, log, env } = options;
  const directory = engineDirectory(options.directory);
  mkdirSync(directory, { recursive: true });
  const main = join(packageRoot(), 'dist/engine/main.js');
  const args = ['dev', '--port', String(port), '--log', log, '--dir', options.directory];
  // Its log goes to a file, because the terminal is the demo's.
  const logFile = openSync(logPath(directory), 'w');
  const child = spawn(process.execPath, [main, ...args], {
    env,
    stdio: ['ignore', 'pipe', logFile],
    // In a process group of its own: a Ctrl-C in the terminal reaches it only through our orderly end.
    detached: true,
  });
  closeSync(logFile);
  record(child, directory, port);
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const ended = endOf(child).finally(() => process.off('exit', killAtExit));
  const stop = async (): Promise<void> => {
    await stopLeftEngine(options.directory);
    await ended;
  };
  try {
    const url = await readUrl(child, ended);
    return { url, pid: child.pid ?? 0, logFile: logPath(directory), ended, stop };
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the engine did not start: ${reason}. ` +
        `Its log is ${logPath(directory)}; the end of it:\n${logTail(directory)}`,
    );
  }
}

/** Ends the engine that runs on the stack in this directory, whoever started it. */
export async function stopLeftEngine(stackDirectory: string): Promise<void> {
  await endServer(engineDirectory(stackDirectory), 'SIGTERM', STOP_MS);
}

function engineDirectory(stackDirectory: string): string {
  return join(stackDirectory, 'engine');
}

function record({ pid }: ChildProcess, directory: string, port: number): void {
  const identity = pid === undefined ? undefined : identifyProcess(pid);
  if (identity === undefined) return;
  writeServerRecord(directory, { process: identity, owner: identifySelf(), port });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`),
    );
  });
}

/** The first line of its stdout with a URL says where it listens. */
function readUrl(child: ChildProcess, ended: Promise<string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => reject(new Error(reason));
    const timer = setTimeout(() => fail(`it was not ready within ${READY_MS / 1_000} s`), READY_MS);
    void ended.then((how) => {
      clearTimeout(timer);
      fail(how);
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [url] = /https?:\/\/[^\s/]+/.exec(line) ?? [];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}
