/** What runs in a stack's directory, and stopping what was left running there. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { withLock } from './lock.ts';
import { type ServerState, serverState, takeDown } from './managed-server.ts';
import { isRunning, type ProcessIdentity } from './process-identity.ts';
import { readServerRecord } from './server-process.ts';
import {
  type EnvironmentVariable,
  fromEnvironment,
  SERVER_NAMES,
  type ServerName,
  stackServer,
} from './stack-servers.ts';

export interface ServerStatus {
  readonly name: ServerName;
  readonly variable: EnvironmentVariable;
  /** `environment`: named by its variable, and not looked at. `leftover`: its owner is gone. */
  readonly state: ServerState | 'environment';
  readonly address: string | undefined;
  readonly pid: number | undefined;
  /** The live process that will stop it; undefined when it is left running until `stack down`. */
  readonly ownerPid: number | undefined;
  readonly directory: string;
}

export interface StackStop {
  readonly stopped: readonly ServerName[];
  /** Belong to a live process, such as `holdfast dev`, and were left to it. */
  readonly inUse: readonly ServerStatus[];
}

export function stackStatus(directory: string, env: NodeJS.ProcessEnv): ServerStatus[] {
  return SERVER_NAMES.map((name) => {
    const server = stackServer(name, resolve(directory), env);
    const { variable } = server;
    const named = fromEnvironment(variable, env);
    const record = readServerRecord(server.directory);
    const state = serverState(record, isRunning);
    if (named === undefined && record !== undefined && state !== 'stopped') {
      return {
        name,
        variable,
        state,
        address: server.address(record.port),
        pid: record.process.pid,
        ownerPid: state === 'running' ? record.owner?.pid : undefined,
        directory: server.directory,
      };
    }
    return {
      name,
      variable,
      state: named === undefined ? 'stopped' : 'environment',
      address: named,
      pid: undefined,
      ownerPid: undefined,
      directory: server.directory,
    };
  });
}

/** Stops the servers that were left running or left over; those of a live process stay. */
export async function stopStack(directory: string): Promise<StackStop> {
  const stackDirectory = resolve(directory);
  if (!existsSync(stackDirectory)) return { stopped: [], inUse: [] };
  return await withLock(stackDirectory, async () => {
    // What the environment names is none of this directory's business, so it is not asked.
    const found = stackStatus(stackDirectory, {}).filter(({ state }) => state !== 'stopped');
    const inUse = found.filter(({ ownerPid }) => ownerPid !== undefined);
    const stoppable = found.filter(({ ownerPid }) => ownerPid === undefined);
    await Promise.all(stoppable.map(({ name }) => stopServer(name, stackDirectory)));
    return { stopped: stoppable.map(({ name }) => name), inUse };
  });
}

async function stopServer(name: ServerName, stackDirectory: string): Promise<void> {
  const server = stackServer(name, stackDirectory, {});
  const owner: ProcessIdentity | null = readServerRecord(server.directory)?.owner ?? null;
  await takeDown(server, owner);
}
