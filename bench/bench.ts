/** What a run, or a test of one scenario, gives to scenarios: worlds on servers of its own. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, Stores } from './scenario.ts';
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
    for (const each of opened) await each.close();
  };
  const bench: Bench = {
    ...{ quick, seed, directory, onProgress },
    open: (wish) => remember(openWorld(servers, wish)),
    openStores: (wish) => remember(servers.open(wish)),
  };
  return {
    ...bench,
    async during(own, work) {
      const scratch = await mkdtemp(join(directory, 'scenario-'));
      await chmod(scratch, 0o711);
      try {
        return await work({ ...bench, ...own, directory: scratch });
      } finally {
        await closeAll();
        await rm(scratch, { recursive: true, force: true });
      }
    },
    async close() {
      await closeAll();
      await servers.stop();
    },
  };
}
