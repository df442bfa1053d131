/**
 * A server that all test files of a run share. The first one that asks starts it; the others, in
 * their own processes, wait for it. Nothing is started for a run that never asks.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../deploy/local/deadline.ts';
import { onFreePort } from '../../deploy/local/ports.ts';
import { type ServerCommand, spawnServer } from '../../deploy/local/server-process.ts';
import type { TestRun } from './test-run.ts';

/** The first use of Kafka on a machine downloads it. */
const SHARED_START_TIMEOUT_MS = 110_000;
const READY_FILE = 'ready.json';
const FAILED_FILE = 'failed.txt';

export interface SharedServer {
  readonly port: number;
}

export async function sharedServer(
  run: TestRun,
  name: string,
  command: (directory: string, port: number) => Promise<ServerCommand>,
): Promise<SharedServer> {
  const directory = join(run.directory, name);
  if (isFirst(directory)) await startForAll(run, directory, command);
  const outcome = await waitFor(() => readOutcome(directory), SHARED_START_TIMEOUT_MS);
  if (outcome === undefined) {
    throw new Error(
      `${name} was not ready within ${SHARED_START_TIMEOUT_MS / 1000} s; see ${directory}`,
    );
  }
  if ('failure' in outcome) throw new Error(`${name} could not be started: ${outcome.failure}`);
  return outcome;
}

/** Making a directory is atomic: exactly one process succeeds. */
function isFirst(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o711 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function startForAll(
  run: TestRun,
  directory: string,
  command: (directory: string, port: number) => Promise<ServerCommand>,
): Promise<void> {
  try {
    const record = await onFreePort(async (port) =>
      spawnServer(await command(directory, port), run.owner),
    );
    writeFileSync(join(directory, READY_FILE), JSON.stringify({ port: record.port }));
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    writeFileSync(join(directory, FAILED_FILE), failure);
  }
}

function readOutcome(directory: string): SharedServer | { failure: string } | undefined {
  const failed = join(directory, FAILED_FILE);
  if (existsSync(failed)) return { failure: readFileSync(failed, 'utf8') };
  const ready = join(directory, READY_FILE);
  if (!existsSync(ready)) return undefined;
  try {
    const parsed: unknown = JSON.parse(readFileSync(ready, 'utf8'));
    return hasPort(parsed) ? parsed : undefined;
  } catch {
    // The file is being written at this moment.
    return undefined;
  }
}

function hasPort(value: unknown): value is SharedServer {
  return (
    typeof value === 'object' && value !== null && 'port' in value && typeof value.port === 'number'
  );
}
