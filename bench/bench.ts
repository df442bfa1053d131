/** What a run, or a test of one scenario, gives to scenarios: worlds on servers of its own. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { countCreated } from './measure/engine-metrics.ts';
import type { Bench, Stores, World } from './scenario.ts';
import { openWorld } from './world.ts';
import { createStoreServers } from './world-stores.ts';

export interface BenchOptions {
  /** Its own: the servers keep their data below it. */
  readonly directory: string;
  readonly quick: boolean;
  readonly seed: string;
  readonly onProgress: (what: string) => void;
}

export interface OpenBench extends Bench {
  /** For one scenario: whatever it leaves open is closed. */
  during<T>(
    options: Partial<Pick<Bench, 'onProgress'>>,
    work: (bench: Bench) => Promise<T>,
  ): Promise<T>;
  /** Stops all servers; the directory stays. */
  close(): Promise<void>;
}

/** Starts nothing yet. */
export async function createBench(options: BenchOptions): Promise<OpenBench> {
  const { directory, quick, seed, onProgress } = options;
  await mkdir(directory, { recursive: true });
  // The user that PostgreSQL runs as has to pass through.
  await chmod(directory, 0o711);
  const servers = createStoreServers({ directory: join(directory, 'servers'), onProgress });
  await mkdir(join(directory, 'servers'), { recursive: true, mode: 0o711 });
  const opened = new Set<Stores>();
  const remember = async <T extends Stores>(opening: Promise<T>): Promise<T> => {
    const stores = await opening;
    const close = async (): Promise<void> => {
      // Twice is once: a scenario closes its own, and what comes after closes what is left.
      if (opened.delete(known)) await stores.close();
    };
    const known: T = { ...stores, close };
    opened.add(known);
    return known;
  };
  const closeAll = async (): Promise<void> => {
    const closes = await Promise.allSettled([...opened].map((each) => each.close()));
    throwFirst(closes);
  };
  const shared = shareWorld(() => openWorld(servers));
  let isClosed = false;
  // A scenario that was given up goes on until something fails it.
  const refuseWhenClosed = (): void => {
    if (isClosed) throw new Error('the bench is closed');
  };
  const bench: Bench = {
    ...{ quick, seed, directory, onProgress },
    async open(wish = {}) {
      refuseWhenClosed();
      if (quick && Object.keys(wish).length === 0) return await remember(shared.lend());
      await shared.close();
      return await remember(openWorld(servers, wish));
    },
    async openStores(wish) {
      refuseWhenClosed();
      await shared.close();
      return await remember(servers.open(wish));
    },
  };
  return {
    ...bench,
    async during(own, work) {
      const scratch = await mkdtemp(join(directory, 'scenario-'));
      await chmod(scratch, 0o711);
      try {
        return await work({ ...bench, ...own, directory: scratch });
      } catch (error) {
        // Whatever it left behind, the next shall not find; what broke it off is what is told.
        await Promise.allSettled([closeAll(), shared.close()]);
        throw error;
      } finally {
        try {
          await closeAll();
        } finally {
          await rm(scratch, { recursive: true, force: true });
        }
      }
    },
    async close() {
      isClosed = true;
      const closes = await Promise.allSettled([closeAll(), shared.close()]);
      throwFirst([...closes, ...(await Promise.allSettled([servers.stop()]))]);
    },
  };
}

function throwFirst(ends: readonly PromiseSettledResult<unknown>[]): void {
  const failed = ends.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

interface SharedWorld {
  /** As it is; the persister runs. It is given back by closing it. */
  lend(): Promise<World>;
  /** The next one is lent a new one. */
  close(): Promise<void>;
}

function shareWorld(open: () => Promise<World>): SharedWorld {
  let opened: World | undefined;
  return {
    async lend() {
      opened ??= await open();
      const lent = opened;
      const giveBack = async (): Promise<void> => {
        if (opened === lent) await lent.persister.start();
      };
      return { ...lent, createdBefore: await countCreated(lent.shop.url), close: giveBack };
    },
    async close() {
      const closing = opened;
      opened = undefined;
      await closing?.close();
    },
  };
}
