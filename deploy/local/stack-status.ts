/** What runs in a stack's directory, and stopping what was left running there. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { withLock } from './lock.ts';
import { type ServerState, stateOf, takeDown } from './managed-server.ts';
import { isStandby } from './postgres.ts';
import { askRole } from './sentinel.ts';
import { readServerRecord } from './server-process.ts';
import { presentGroup } from './stack-group.ts';
import { readMembers, withoutOwn } from './stack-members.ts';
import {
  type EnvironmentVariable,
  fromEnvironment,
  type ServerName,
  STORE_NAMES,
  type StackServer,
  type Store,
  type StoreName,
  serversOf,
  stackStore,
} from './stack-servers.ts';

export interface ServerStatus {
  readonly name: ServerName;
  readonly store: StoreName;
  readonly variable: EnvironmentVariable;
  /** `environment`: named by its variable, and not looked at. `leftover`: its owner is gone. */
  readonly state: ServerState | 'environment';
  readonly address: string | undefined;
  readonly pid: number | undefined;
  /** The live process that will stop it; undefined when it is left running until `stack down`. */
  readonly ownerPid: number | undefined;
  readonly directory: string;
}

export type ServerRole = 'primary' | 'replica' | 'standby';

export interface StackStop {
  readonly stopped: readonly ServerName[];
  /** Belong to a live process, such as `holdfast dev`, and were left to it. */
  readonly inUse: readonly ServerStatus[];
}

export function stackStatus(directory: string, env: NodeJS.ProcessEnv): ServerStatus[] {
  const others = withoutOwn(directory, env);
  return storesOf(directory, others).flatMap((store) => {
    const named = fromEnvironment(store.variable, others);
    if (named === undefined) return serversOf(store).map((server) => statusOf(store, server));
    const { name, variable } = store;
    const unknown = { pid: undefined, ownerPid: undefined, directory: resolve(directory, name) };
    return [{ name, store: name, variable, state: 'environment', address: named, ...unknown }];
  });
}

/**
 * What each variable would say. While anything of the stack runs, a store of it that has died is
 * named all the same, so that whoever asks it finds out; undefined: it is no part of the stack, or
 * nothing of that runs.
 */
export function stackAddresses(
  directory: string,
  env: NodeJS.ProcessEnv,
): Record<EnvironmentVariable, string | undefined> {
  const stores = storesOf(directory, env);
  const isThere = (store: Store) =>
    serversOf(store).some((server) => stateOf(server) !== 'stopped');
  const members = stores.some(isThere) ? readMembers(resolve(directory)) : {};
  const others = withoutOwn(directory, env);
  const addressOf = (store: Store): string | undefined =>
    fromEnvironment(store.variable, others) ??
    (isThere(store)
      ? store.url((server) => readServerRecord(server.directory)?.port)
      : members[store.name]);
  const addresses = stores.map((store) => [store.variable, addressOf(store)]);
  const none = { REDIS_URL: undefined, DATABASE_URL: undefined, KAFKA_BROKERS: undefined };
  return { ...none, ...Object.fromEntries(addresses) };
}

/** What a server of a group or a pair is at this moment; undefined for one that stands alone. */
export async function serverRole(status: ServerStatus): Promise<ServerRole | undefined> {
  const { name, state, address, directory } = status;
  if (state === 'stopped' || state === 'environment' || address === undefined) return undefined;
  if (status.store === 'postgres') return isStandby(directory) ? 'standby' : 'primary';
  if (!name.startsWith('redis-')) return undefined;
  const { hostname, port } = new URL(address);
  return (await askRole({ host: hostname, port: Number(port) }))?.kind;
}

/** Stops the servers that were left running or left over; those of a live process stay. */
export async function stopStack(directory: string): Promise<StackStop> {
  const stackDirectory = resolve(directory);
  if (!existsSync(stackDirectory)) return { stopped: [], inUse: [] };
  return await withLock(stackDirectory, async () => {
    // What the environment names is none of this directory's business, so it is not asked.
    const found = stackStatus(stackDirectory, {}).filter(({ state }) => state !== 'stopped');
    const inUse = found.filter(({ ownerPid }) => ownerPid !== undefined);
    const stoppable = new Set(found.map(({ name }) => name));
    for (const { name } of inUse) stoppable.delete(name);
    await Promise.all(
      storesOf(stackDirectory, {}).map(async ({ waves }) => {
        for (const wave of waves) {
          await Promise.all(wave.filter(({ name }) => stoppable.has(name)).map(stopServer));
        }
      }),
    );
    return { stopped: [...stoppable], inUse };
  });
}

function storesOf(directory: string, env: NodeJS.ProcessEnv): Store[] {
  const stackDirectory = resolve(directory);
  const group = presentGroup(stackDirectory);
  return STORE_NAMES.map((name) => stackStore(name, stackDirectory, env, group));
}

function statusOf({ variable }: Store, server: StackServer): ServerStatus {
  const { name, store, directory } = server;
  const state = stateOf(server);
  const record = state === 'stopped' ? undefined : readServerRecord(directory);
  return {
    name,
    store,
    variable,
    state,
    address: record === undefined ? undefined : server.address(record.port),
    pid: record?.process.pid,
    ownerPid: state === 'running' ? record?.owner?.pid : undefined,
    directory,
  };
}

async function stopServer(server: StackServer): Promise<void> {
  await takeDown(server, readServerRecord(server.directory)?.owner ?? null);
}
