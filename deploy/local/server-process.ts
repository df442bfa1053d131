/**
 * One server process and the file that remembers it.
 *
 * States, as `server.json` in the server's directory tells them:
 *   absent                        no file, or its process is not running: start anew, on its old port
 *   running, owner null           left running on purpose (`holdfast stack up`)
 *   running, owner alive          belongs to a live process, which will stop it
 *   running, owner gone           a leftover of a crash: the next start stops it
 * True in all of them: a process is signalled only while its pid and start time match the file.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './deadline.ts';
import {
  identifyProcess,
  isProcessIdentity,
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from './process-identity.ts';
import type { UnprivilegedUser } from './unprivileged-user.ts';

export interface ServerCommand {
  /** For messages: Redis, PostgreSQL, Kafka. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where the server keeps its data; its pid file and its log stand beside it. */
  readonly directory: string;
  readonly port: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: UnprivilegedUser | undefined;
  /** Resolves to true once the server does its work (not merely once its port is open). */
  readonly isReady: () => Promise<boolean>;
  readonly readyTimeoutMs: number;
}

export interface ServerRecord {
  readonly process: ProcessIdentity;
  /** Who stops it; null when it is to be left running. */
  readonly owner: ProcessIdentity | null;
  readonly port: number;
}

/** Why a server did not come up, with the end of its log. */
export class ServerStartError extends Error {
  readonly logTail: string;

  constructor(message: string, logTail: string) {
    super(`${message}\n${logTail}`.trim());
    this.name = 'ServerStartError';
    this.logTail = logTail;
  }
}

const RECORD_FILE = 'server.json';
const LOG_FILE = 'server.log';
const LOG_TAIL_CHARACTERS = 2_000;
/** A Redis that is writing its first file after a full copy refuses to end, and forgets the signal. */
const ASK_AGAIN_MS = 500;
/** A killed process is gone at once, unless the kernel is busy writing out what it had mapped. */
const KILL_TIMEOUT_MS = 10_000;

export function logPath(directory: string): string {
  return join(directory, LOG_FILE);
}

export function readServerRecord(directory: string): ServerRecord | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(directory, RECORD_FILE), 'utf8'));
    return isServerRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Written under another name first: a crash in the middle must not leave half a record. */
export function writeServerRecord(directory: string, record: ServerRecord): void {
  const path = join(directory, RECORD_FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * Starts the server in a process group of its own, so that a Ctrl-C in the terminal reaches the
 * program that uses it first and the servers only through that program's orderly end.
 */
export async function spawnServer(
  server: ServerCommand,
  owner: ProcessIdentity | null,
): Promise<ServerRecord> {
  const log = openSync(logPath(server.directory), 'w');
  const child = spawn(server.command, [...server.args], {
    cwd: server.directory,
    detached: true,
    stdio: ['ignore', log, log],
    env: server.env ?? process.env,
    ...(server.user === undefined ? {} : { uid: server.user.uid, gid: server.user.gid }),
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = error.message;
  });
  child.once('exit', (code, signal) => {
    ended = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
  });
  child.unref();
  const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
  if (identity !== undefined) {
    writeServerRecord(server.directory, { process: identity, owner, port: server.port });
  }
  const ready = await waitFor(async () => {
    if (ended !== undefined) return false;
    return (await server.isReady()) || undefined;
  }, server.readyTimeoutMs);
  if (ready === true && identity !== undefined) {
    return { process: identity, owner, port: server.port };
  }
  if (identity !== undefined) await endProcess(identity, 'SIGKILL', 0);
  const reason = ended ?? `it was not ready within ${server.readyTimeoutMs / 1000} s`;
  throw new ServerStartError(
    `${server.title} did not start on port ${server.port}: ${reason}. Its log is ${logPath(server.directory)}; the end of it:`,
    logTail(server.directory),
  );
}

/** Asks a process to end, waits, and kills it when it does not; returns once it is gone. */
export async function endProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<void> {
  const isGone = () => (isRunning(identity) ? undefined : true);
  const deadline = performance.now() + timeoutMs;
  do {
    signalProcess(identity, signal);
    // A stopped process (SIGSTOP) takes no other signal than SIGKILL before it goes on.
    signalProcess(identity, 'SIGCONT');
    if (await waitFor(isGone, Math.min(ASK_AGAIN_MS, deadline - performance.now()))) return;
  } while (performance.now() < deadline);
  signalProcess(identity, 'SIGKILL');
  if (await waitFor(isGone, KILL_TIMEOUT_MS)) return;
  throw new Error(`process ${identity.pid} is still there ${KILL_TIMEOUT_MS} ms after SIGKILL`);
}

/** Stops the server that the directory's record names, if it still runs. */
export async function endServer(
  directory: string,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<void> {
  const record = readServerRecord(directory);
  if (record !== undefined) await endProcess(record.process, signal, timeoutMs);
}

export function logTail(directory: string): string {
  try {
    return readFileSync(logPath(directory), 'utf8').slice(-LOG_TAIL_CHARACTERS).trim();
  } catch {
    return '(there is no log)';
  }
}

function isServerRecord(value: unknown): value is ServerRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record: Partial<Record<keyof ServerRecord, unknown>> = value;
  const ownerIsRight = record.owner === null || isProcessIdentity(record.owner);
  return isProcessIdentity(record.process) && ownerIsRight && typeof record.port === 'number';
}
