/** The product's processes on emptied stores, and what they cost while a load runs. */
import {
  type RoleProcess,
  startRoleProcess,
  startServeProcess,
} from '../engine/testing/serve-process.ts';
import { readCoreSpeed } from './measure/core-speed.ts';
import {
  type EngineReading,
  histogramBetween,
  outcomesBetween,
  readEngine,
} from './measure/engine-metrics.ts';
import {
  costsBetween,
  type ProcessGroup,
  type ProcessReading,
  readProcesses,
} from './measure/process-cost.ts';
import { commandsBetween, type RedisReading, readRedis } from './measure/redis-cpu.ts';
import { type CoreTimes, readCoreTimes, stolenBetween } from './measure/stolen.ts';
import type { LoadResult } from './measure/wire-load.ts';
import type { Phase, ProcessCost, World, WorldOptions } from './scenario.ts';
import { createShop } from './scenarios/shop.ts';
import type { OpenStores, StoreServers } from './world-stores.ts';

/** Started, and which of the costs it is part of. */
interface Started {
  readonly name: ProcessCost['name'];
  readonly process: RoleProcess;
}

/** Resolves when it sells. The stores are closed with it. */
export async function openWorld(
  servers: StoreServers,
  { workers = 1, env: settings, ...options }: WorldOptions = {},
): Promise<World> {
  const stores = await servers.open(options);
  const env = {
    ...stores.env,
    // A hold of the load must outlive the run.
    HOLDFAST_TTL_DEFAULT: '3600',
    ...(workers > 1 && { HOLDFAST_WORKERS: String(workers) }),
    ...settings,
  };
  const running = new Set<Started>();
  const stopAll = async (): Promise<void> => {
    await Promise.all([...running].map(({ process }) => process.stop()));
    running.clear();
  };
  const close = async (): Promise<void> => {
    await stopAll();
    await stores.close();
  };
  const start = async <T extends RoleProcess>(name: Started['name'], starting: Promise<T>) => {
    const started = { name, process: await starting };
    running.add(started);
    return started;
  };
  const persist = () => start('persister', startRoleProcess('persist', { env }));
  try {
    const starts = await Promise.allSettled([
      start('engine', startServeProcess({ env })),
      persist(),
      start('recovery', startRoleProcess('recover', { env })),
      ...(options.log === 'kafka' ? [start('relay', startRoleProcess('relay', { env }))] : []),
    ]);
    const [engine, persister] = starts;
    const failed = starts.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (engine.status === 'rejected' || persister.status === 'rejected')
      throw new Error('no engine');
    const shop = createShop(engine.value.process, stores.redis, env);
    await shop.open();
    const groups = (): readonly ProcessGroup[] => [...groupsOf(running), ...stores.processes()];
    return {
      ...stores,
      env,
      shop,
      createdBefore: 0,
      persister: replaceable(persister.value, running, persist),
      measure: createMeasure(stores, shop.url, groups),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function replaceable(
  first: Started,
  running: Set<Started>,
  start: () => Promise<Started>,
): World['persister'] {
  let current: Started | undefined = first;
  return {
    async stop() {
      if (current === undefined) return;
      const stopping = current;
      current = undefined;
      await stopping.process.stop();
      running.delete(stopping);
    },
    async start() {
      current ??= await start();
    },
  };
}

function groupsOf(running: ReadonlySet<Started>): ProcessGroup[] {
  const names = new Set([...running].map(({ name }) => name));
  return [...names].map((name) => ({
    name,
    pids: [...running].filter((each) => each.name === name).map(({ process }) => process.pid),
  }));
}

interface Reading {
  readonly cores: CoreTimes | undefined;
  readonly engine: EngineReading;
  readonly redis: RedisReading;
  readonly processes: readonly ProcessReading[];
}

function createMeasure(
  { redis }: OpenStores,
  url: string,
  groups: () => readonly ProcessGroup[],
): World['measure'] {
  return async (name, load, { rate } = {}): Promise<Phase> => {
    const core = readCoreSpeed();
    const before: Reading = {
      engine: await readEngine(url),
      redis: await readRedis(redis),
      processes: readProcesses(groups()),
      cores: readCoreTimes(),
    };
    const result = await load();
    // The other way round: what the readings cost is not the load's.
    const own = { cores: readCoreTimes(), processes: readProcesses(groups()) };
    const after = { ...own, redis: await readRedis(redis), engine: await readEngine(url) };
    return phaseOf({ name, core, ...(rate !== undefined && { rate }) }, result, before, after);
  };
}

function phaseOf(
  named: Pick<Phase, 'name' | 'rate' | 'core'>,
  load: LoadResult,
  before: Reading,
  after: Reading,
): Phase {
  const redisThreadUs = after.redis.cpuUs - before.redis.cpuUs;
  const outcomes = [...outcomesBetween(before.engine, after.engine)];
  const stolen = stolenBetween(before.cores, after.cores);
  return {
    ...named,
    ...(stolen !== undefined && { stolen }),
    load,
    processes: [
      ...withOwnWord(costsBetween(before.processes, after.processes), {
        engine: after.engine.cpuUs - before.engine.cpuUs,
        redis: redisThreadUs,
      }),
      {
        name: 'load',
        // Per request: those that were not answered in time cost it as much.
        cpuUs: load.cpuUsPerRequest * (load.answers + load.timeouts),
        rssBytes: load.rssBytes,
      },
    ],
    redisThreadUs,
    commands: commandsBetween(before.redis, after.redis),
    batches: histogramBetween(before.engine.batches, after.engine.batches),
    turns: histogramBetween(before.engine.turns, after.engine.turns),
    outcomes: Object.fromEntries(outcomes.filter(([, count]) => count > 0)),
  };
}

/** Where the system does not tell (no Linux), what the process says of itself. */
function withOwnWord(
  costs: readonly ProcessCost[],
  own: Readonly<Partial<Record<ProcessCost['name'], number>>>,
): ProcessCost[] {
  return costs.map((each) =>
    Number.isNaN(each.cpuUs) ? { ...each, cpuUs: own[each.name] ?? Number.NaN } : each,
  );
}
