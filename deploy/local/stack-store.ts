/** One store of the stack comes up, with all its servers, and goes down. */
import { mkdirSync } from 'node:fs';
import { waitFor } from './deadline.ts';
import { bringUp, takeDown } from './managed-server.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { OnProgress } from './progress.ts';
import {
  fromEnvironment,
  type ServerName,
  type StackServer,
  type Store,
  serversOf,
} from './stack-servers.ts';

/** A Redis group copies all its data to a replica that has none. */
const STORE_READY_TIMEOUT_MS = 90_000;

export interface StoreStart {
  readonly env: NodeJS.ProcessEnv;
  readonly keepRunning: boolean;
  readonly self: ProcessIdentity;
  readonly onProgress: OnProgress;
}

export interface RunningServer {
  readonly name: ServerName;
  readonly address: string;
  /** Named by the environment, running already in this directory, or started by this call. */
  readonly source: 'environment' | 'reused' | 'started';
}

export interface RunningStore {
  readonly store: Store;
  /** The value for its variable. */
  readonly url: string;
  readonly servers: readonly RunningServer[];
  /** By this call. */
  readonly started: readonly StackServer[];
}

/** Brings up what does not run yet; nothing that it started is left when it fails. */
export async function startStore(start: StoreStart, store: Store): Promise<RunningStore> {
  const { name, variable } = store;
  const named = fromEnvironment(variable, start.env);
  if (named !== undefined) {
    start.onProgress({ step: name, state: 'done', detail: `${named} (from ${variable})` });
    const server = { name, address: named, source: 'environment' } as const;
    return { store, url: named, servers: [server], started: [] };
  }
  start.onProgress({ step: name, state: 'working', detail: 'starting' });
  const ports = new Map<StackServer, { readonly port: number; readonly isReused: boolean }>();
  const started = () => [...ports].flatMap(([server, { isReused }]) => (isReused ? [] : [server]));
  try {
    for (const wave of store.waves) await startWave(start, wave, ports);
    await untilReady(store);
    const url = store.url((server) => ports.get(server)?.port);
    const isNew = started().length > 0;
    start.onProgress({ step: name, state: 'done', detail: isNew ? url : `${url} (was running)` });
    const servers = [...ports].map(([server, { port, isReused }]) => ({
      name: server.name,
      address: server.address(port),
      source: isReused ? ('reused' as const) : ('started' as const),
    }));
    return { store, url, servers, started: started() };
  } catch (error) {
    start.onProgress({ step: name, state: 'failed', detail: messageOf(error) });
    await stopServers(started(), ownerOf(start));
    throw error;
  }
}

/** Stops what `startStore` started. */
export async function stopStore(
  start: StoreStart,
  { store, started }: RunningStore,
): Promise<void> {
  if (started.length === 0) return;
  const { onProgress } = start;
  onProgress({ step: store.name, state: 'detail', detail: 'stopping' });
  for (const wave of store.waves) {
    await stopServers(
      wave.filter((server) => started.includes(server)),
      ownerOf(start),
    );
  }
  onProgress({ step: store.name, state: 'done', detail: 'stopped' });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function ownerOf(start: StoreStart): ProcessIdentity | null {
  return start.keepRunning ? null : start.self;
}

async function stopServers(
  servers: readonly StackServer[],
  owner: ProcessIdentity | null,
): Promise<void> {
  await Promise.all(servers.map((server) => takeDown(server, owner)));
}

async function startWave(
  start: StoreStart,
  wave: readonly StackServer[],
  ports: Map<StackServer, { readonly port: number; readonly isReused: boolean }>,
): Promise<void> {
  const results = await Promise.allSettled(
    wave.map(async (server) => {
      mkdirSync(server.directory, { recursive: true });
      ports.set(server, await bringUp(server, start.self, start.keepRunning));
    }),
  );
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

async function untilReady(store: Store): Promise<void> {
  const { isReady } = store;
  if (isReady === undefined) return;
  const isDone = await waitFor(async () => (await isReady()) || undefined, STORE_READY_TIMEOUT_MS);
  if (isDone === undefined) {
    const logs = serversOf(store).map(({ directory }) => directory);
    throw new Error(
      `the servers of ${store.name} run but do not work together after ${STORE_READY_TIMEOUT_MS / 1000} s; their logs are in ${logs.join(', ')}`,
    );
  }
}
