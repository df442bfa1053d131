/**
 * One run of the tests owns one temporary directory, in which every server that a test starts has
 * its data and its record (see deploy/local/server-process.ts). When the run ends, however it
 * ends, the servers named there are killed and the directory goes; what a run that was itself
 * killed left behind, the next run clears.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  identifySelf,
  isProcessIdentity,
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from '../../deploy/local/process-identity.ts';
import { readServerRecord } from '../../deploy/local/server-process.ts';

/** Set by the global setup; worker processes, and processes that tests start, inherit it. */
const RUN_VARIABLE = 'HOLDFAST_TEST_RUN';
const OWNER_FILE = 'owner.json';
/** A server that was just killed may still hold its files for a moment. */
const REMOVE_RETRIES_MAX = 20;

export interface TestRun {
  readonly directory: string;
  /** The process whose end ends the run. */
  readonly owner: ProcessIdentity;
}

export function beginTestRun(): TestRun {
  const parent = join(tmpdir(), `holdfast-tests-${process.getuid?.() ?? 'user'}`);
  mkdirSync(parent, { recursive: true });
  clearRunsOfTheDead(parent);
  const directory = mkdtempSync(join(parent, 'run-'));
  // mkdtemp lets nobody but its owner in; as root, PostgreSQL's own user has to pass through.
  chmodSync(directory, 0o711);
  const owner = identifySelf();
  writeFileSync(join(directory, OWNER_FILE), JSON.stringify(owner));
  process.env[RUN_VARIABLE] = directory;
  return { directory, owner };
}

/** The run that this process is part of. */
export function currentTestRun(): TestRun {
  const directory = process.env[RUN_VARIABLE];
  const owner = directory === undefined ? undefined : readOwner(directory);
  if (directory === undefined || owner === undefined) {
    throw new Error(
      `${RUN_VARIABLE} names no run: test servers live inside a vitest run with engine/testing/global-setup.ts`,
    );
  }
  return { directory, owner };
}

/** A fresh directory for one server of this run. */
export function serverDirectory(run: TestRun, name: string): string {
  const directory = mkdtempSync(join(run.directory, `${name}-`));
  chmodSync(directory, 0o711);
  return directory;
}

/** Synchronous, because it also runs while the process exits. */
export function clearTestRun(directory: string): void {
  for (const server of directoriesIn(directory)) killServersIn(server);
  rmSync(directory, { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX });
}

/** A server of its own, a stack with a directory for each, or a group with one for each node's. */
function killServersIn(directory: string): void {
  const record = readServerRecord(directory);
  if (record !== undefined) signalProcess(record.process, 'SIGKILL');
  else for (const inner of directoriesIn(directory)) killServersIn(inner);
}

function directoriesIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name));
}

function clearRunsOfTheDead(parent: string): void {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    const owner = readOwner(directory);
    if (owner !== undefined && !isRunning(owner)) clearTestRun(directory);
  }
}

function readOwner(directory: string): ProcessIdentity | undefined {
  try {
    const owner: unknown = JSON.parse(readFileSync(join(directory, OWNER_FILE), 'utf8'));
    return isProcessIdentity(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}
