/**
 * Decides what a start does with what it finds in a server's directory, and does it. The decision
 * (`plan`) takes data and returns data; the rest is its shell.
 */
import { isPortFree, onFreePort } from './ports.ts';
import { isRunning, type ProcessIdentity } from './process-identity.ts';
import type { RedisAddress } from './redis.ts';
import {
  endProcess,
  readServerRecord,
  type ServerCommand,
  type ServerRecord,
  spawnServer,
  writeServerRecord,
} from './server-process.ts';

/** Kafka's controlled shutdown is the slowest, at about a second. */
const STOP_TIMEOUT_MS = 30_000;

export type ServerState = 'stopped' | 'running' | 'leftover';

export interface ManagedServer {
  readonly directory: string;
  /** Prepares the data and says how the server is started on this port. */
  readonly command: (port: number) => Promise<ServerCommand> | ServerCommand;
  readonly stopSignal: NodeJS.Signals;
  /** Where it has to listen, as others know it by that; else on any free port. */
  readonly place?: RedisAddress;
}

export interface StartedServer {
  readonly port: number;
  readonly pid: number;
  /** Whether it was running already. */
  readonly isReused: boolean;
}

/** A server whose owner ended without stopping it is a leftover. */
export function serverState(
  record: ServerRecord | undefined,
  isAlive: (identity: ProcessIdentity) => boolean,
): ServerState {
  if (record === undefined || !isAlive(record.process)) return 'stopped';
  return record.owner === null || isAlive(record.owner) ? 'running' : 'leftover';
}

/** As the server's record tells it. */
export function stateOf({ directory }: Pick<ManagedServer, 'directory'>): ServerState {
  return serverState(readServerRecord(directory), isRunning);
}

/** Stops the server when its owner is gone. */
export async function clearLeftover(
  server: Pick<ManagedServer, 'directory' | 'stopSignal'>,
): Promise<void> {
  const record = readServerRecord(server.directory);
  if (record === undefined || stateOf(server) !== 'leftover') return;
  await endProcess(record.process, server.stopSignal, STOP_TIMEOUT_MS);
}

/** Brings the server up; `self` becomes its owner, unless it is to be left running. */
export async function bringUp(
  server: ManagedServer,
  self: ProcessIdentity,
  keepRunning: boolean,
): Promise<StartedServer> {
  await clearLeftover(server);
  const found = readServerRecord(server.directory);
  const isReused = found !== undefined && stateOf(server) === 'running';
  // Ours until it is ready, even when it is to be left running: a crash in between leaves a leftover.
  const record = isReused ? found : await startManaged(server, self, found?.port);
  if (keepRunning) writeServerRecord(server.directory, { ...record, owner: null });
  return { port: record.port, pid: record.process.pid, isReused };
}

async function startManaged(
  server: ManagedServer,
  self: ProcessIdentity,
  wishedPort: number | undefined,
): Promise<ServerRecord> {
  const start = async (port: number) => spawnServer(await server.command(port), self);
  const { place, directory } = server;
  if (place === undefined) return await onFreePort(start, wishedPort);
  if (await isPortFree(place.port, place.host)) return await start(place.port);
  throw new Error(
    `${place.host}:${place.port}, where the server in ${directory} has to listen, is taken by another program: end that one, or take another directory`,
  );
}

/** Stops the server if it is the given process's; `null` names one that was left running. */
export async function takeDown(
  server: Pick<ManagedServer, 'directory' | 'stopSignal'>,
  owner: ProcessIdentity | null,
): Promise<void> {
  const record = readServerRecord(server.directory);
  if (record === undefined || !isSameOwner(record.owner, owner)) return;
  await endProcess(record.process, server.stopSignal, STOP_TIMEOUT_MS);
}

function isSameOwner(a: ProcessIdentity | null, b: ProcessIdentity | null): boolean {
  return a?.pid === b?.pid && a?.startedAt === b?.startedAt;
}
