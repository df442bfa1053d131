/**
 * The show, once the engine is there: the shop is stocked, the real orders are played in their order of time, in
 * the middle the flash sale, and then all of it is audited.
 */
import { auditTargets } from '../../engine/cli/audit.ts';
import type { ShopperPlan } from '../load/shoppers.ts';
import type { OrderLine } from '../orders/parse.ts';
import type { Replay } from '../orders/replay.ts';
import type { SaleSize } from './crowd.ts';
import type { SaleItem } from './flash-sale.ts';
import { readSaleLedger } from './ledger.ts';
import { cpuBetween, describeMachine, readCpu } from './machine.ts';
import { type Opening, openShop } from './opening.ts';
import { type DemoFacts, type DemoReport, reportOf } from './report.ts';
import type { Screen } from './screen.ts';
import { type Sold, sell } from './selling.ts';
import { openStage, type Stage } from './stage.ts';
import { Stopwatch } from './stopwatch.ts';
import type { DemoSystem } from './system.ts';
import { findCell } from './things-to-try.ts';
import type { TryIt } from './words.ts';

/** What is played. */
export interface Script {
  readonly lines: readonly OrderLine[];
  readonly replay: Replay;
  readonly item: SaleItem;
  readonly crowd: readonly ShopperPlan[];
}

export interface ShowOptions {
  readonly size: SaleSize;
  readonly screen: Screen;
  readonly system: DemoSystem;
  readonly script: Script;
  /** When the demo began, on the clock of performance.now(). */
  readonly startMs: number;
  readonly signal: AbortSignal;
}

export interface Shown {
  readonly report: DemoReport;
  readonly tryIt: TryIt;
}

export async function putOnShow(show: ShowOptions): Promise<Shown> {
  const { system, script, size, startMs } = show;
  const { item } = script;
  const stage = await openStage({ ...show, item, shoppers: size.shoppers });
  try {
    const watch = new Stopwatch(show.signal, system.durationsMs);
    const opening = await watch.time('opening', () => stock(stage, script));
    const selling = await watch.time('selling', () => sellAndMeasure(stage, show));
    const audited = await watch.time('audit', () => audit(stage, show));
    const { log, logReason, directory: stackDirectory } = system.stack;
    const report = reportOf({
      seed: size.seed,
      shoppers: size.shoppers,
      log,
      logReason,
      opening,
      item,
      invoices: script.replay.summary,
      ...selling,
      ...audited,
      durationsMs: { ...watch.durationsMs, total: performance.now() - startMs },
      environment: await describeMachine(stage.probe),
    });
    stage.live.phase = 'done';
    const tryIt: TryIt = {
      ...(await findCell(stage.watching, script.lines)),
      url: system.engine.url,
      saleSku: item.skuId,
      reservationId: selling.orders.committedIds.at(-1),
      stackDirectory,
    };
    return { report, tryIt };
  } finally {
    await stage.close();
  }
}

function stock({ api, live }: Stage, { lines, item }: Script): Promise<Opening> {
  live.phase = 'stocking the shop';
  return openShop(api, lines, item, (done, all) => {
    live.phase = `stocking the shop: ${done} of ${all} requests`;
  });
}

type Measured = Pick<DemoFacts, 'latencies' | 'lostRequests' | 'requestsPerSMax' | 'cpuS'>;

async function sellAndMeasure(
  { api, meter, live, probe, watching }: Stage,
  { script: { item, replay, crowd }, size, signal }: ShowOptions,
): Promise<Sold & Measured> {
  // What came before was preparation.
  meter.restart();
  live.restart();
  const before = await readCpu(watching, probe);
  const readBalances = () => probe.balances(watching, item.skuId);
  const { steps } = replay;
  const sold = await sell({ api, live, steps, item, size, crowd, signal, readBalances });
  return {
    ...sold,
    latencies: meter.summaries(),
    lostRequests: meter.lostRequests,
    requestsPerSMax: live.requestsPerSMax,
    cpuS: { ...cpuBetween(before, await readCpu(watching, probe)) },
  };
}

async function audit(
  { live, probe }: Stage,
  { system, script }: ShowOptions,
): Promise<Pick<DemoFacts, 'audit' | 'ledger'>> {
  live.phase = 'auditing Redis, the log and PostgreSQL';
  const report = await auditTargets({ ...system.stack, logTopic: system.logTopic });
  // It has waited until PostgreSQL had all that was sold.
  return { audit: report, ledger: await readSaleLedger(probe.pool, script.item.skuId) };
}
