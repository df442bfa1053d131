/** What reserves, rejections and commits cost in the engine, in instructions of a bare handler. */
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import { openEmptyLane } from '../measure/lane-driver.ts';
import { reserveOperation } from '../measure/lane-session.ts';
import type { Bench } from '../scenario.ts';
import {
  BATCH,
  type EngineOrder,
  type EngineReport,
  type EngineWork,
  HOT,
  SOLD_OUT,
} from './engine-work.ts';
import { type CountedProcess, startCounted } from './instructions.ts';
import type { Ratios } from './judge.ts';

/**
 * Batches that are run before any is counted: what V8 does once, such as the compiling of a function
 * that was called often, is then done. The last few run as they will be counted, so that valgrind has
 * translated them.
 */
const WARM_UP_BATCHES = 80;
const COUNTING_BATCHES = 5;
/** In one count. The least of some counts is the one without a collection of garbage. */
const BATCHES = 10;
const COUNTS = 4;
/**
 * One thread, and no optimising compiler: when that one does its work, and how well, is chance, and
 * what it makes of the code is not counted.
 */
const NODE_FLAGS = ['--single-threaded', '--no-opt'];
const COUNTED = ['reserve', 'rejection', 'keyed reserve', 'keyed rejection', 'commit'] as const;
const WORKS: readonly EngineWork[] = ['bare handler', ...COUNTED];
const FIELD = 'A' as CellField;
const TTL_S = 3_600;

export interface EngineCounts {
  readonly ratios: Ratios;
  /** That were to be reserved, and were not, or the other way round. */
  readonly unitsAstray: number;
}

export async function engineRatios({
  openStores,
  directory,
  onProgress,
}: Bench): Promise<EngineCounts> {
  const { redis, env, close } = await openStores();
  const session = await openEmptyLane(redis, { batch: BATCH });
  const skus = [HOT, SOLD_OUT].map((id) => id as Sku);
  await session.define(skus);
  await session.receive([
    { sku: HOT as Sku, field: FIELD, units: 1_000_000_000 },
    { sku: SOLD_OUT as Sku, field: FIELD, units: 1 },
  ]);
  await session.submit({
    count: 1,
    wanted: 'created',
    operation: () => reserveOperation(session.makeId(), SOLD_OUT as Sku, [FIELD], TTL_S),
  });
  onProgress('the engine starts, counted');
  const engine = await startEngine(join(directory, 'engine'), { ...process.env, ...env });
  try {
    for (const batches of [WARM_UP_BATCHES - COUNTING_BATCHES, COUNTING_BATCHES]) {
      if (batches === COUNTING_BATCHES) await engine.process.begin();
      for (const what of WORKS) {
        if (what === 'commit') await engine.work({ what: 'hold', batches });
        await engine.work({ what, batches });
      }
    }
    const counts = new Map<EngineWork, number>();
    for (const what of WORKS) {
      onProgress(`counting: ${what}`);
      counts.set(what, await leastCount(engine, what));
    }
    // With keys and without; those that were committed are no longer reserved.
    const reserves = 2 * BATCH * (WARM_UP_BATCHES + COUNTS * BATCHES);
    const { reserved } = await session.balances(skus);
    const bare = counts.get('bare handler') ?? Number.NaN;
    const ratioOf = (what: EngineWork): number => (counts.get(what) ?? Number.NaN) / bare;
    return {
      ratios: Object.fromEntries(
        COUNTED.map((what) => [`engine, ${what} : bare handler`, ratioOf(what)]),
      ),
      unitsAstray: Math.abs(reserved - reserves - 1),
    };
  } finally {
    await engine.process.kill();
    await close();
  }
}

/** Of a request. */
async function leastCount(engine: EngineProcess, what: EngineWork): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < COUNTS; i++) {
    if (what === 'commit') await engine.work({ what: 'hold', batches: BATCHES });
    const count = await engine.process.count(() => engine.work({ what, batches: BATCHES }));
    least = Math.min(least, count / BATCHES / BATCH);
  }
  return least;
}

interface EngineProcess {
  readonly process: CountedProcess;
  /** Resolves when it is done; rejects when the engine ended over it, or made other batches. */
  work(order: EngineOrder): Promise<void>;
}

async function startEngine(directory: string, env: NodeJS.ProcessEnv): Promise<EngineProcess> {
  let hear: (report: EngineReport) => void = () => undefined;
  const next = () =>
    new Promise<EngineReport>((resolve) => {
      hear = resolve;
    });
  const ready = next();
  const main = join(packageRoot(), 'dist/bench/guard/engine-process.js');
  const counted = await startCounted({
    command: process.execPath,
    args: [...NODE_FLAGS, main],
    ...{ env, directory },
    onMessage: (report) => hear(report as EngineReport),
  });
  await Promise.race([ready, counted.broken]);
  return {
    process: counted,
    async work(order) {
      const done = next();
      counted.send(order);
      const { batches, operations } = await Promise.race([done, counted.broken]);
      if (operations !== batches * BATCH) {
        throw new Error(`${order.what}: ${operations} operations went out in ${batches} batches`);
      }
    },
  };
}
