/**
 * What the design promises (section 12), beside what was measured. Absolute numbers are of one
 * machine, so they are shown; ratios within one run hold across machines, so they decide the exit
 * code.
 */
import type { HotSkuReport } from './scenarios/hot-sku.ts';
import type { LaneReport } from './scenarios/lane.ts';

export interface BudgetRow {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  readonly budget: number;
  readonly isMet: boolean;
  /** A ratio: when it is missed the run fails. */
  readonly isThreshold: boolean;
}

const atMost = (what: string, measured: number, budget: number, unit: string): BudgetRow => ({
  what,
  measured,
  unit,
  budget,
  isMet: measured <= budget,
  isThreshold: unit === 'x',
});
const atLeast = (what: string, measured: number, budget: number, unit: string): BudgetRow => ({
  what,
  measured,
  unit,
  budget,
  isMet: measured >= budget,
  isThreshold: unit === 'x',
});

/** A reserve in a batch, hold, deadline and log included, against scripts of one request each. */
const OF_EMPTY_SCRIPT = 3;
const OF_BARE_COUNTER = 1.5;
/** 200 SKUs in a batch against one. */
const OF_ONE_SKU = 3;
/** A reserve over HTTP against a handler of the same server that does nothing. */
const OF_EMPTY_HANDLER = 4;
const REJECTIONS_OF_EMPTY_HANDLER = 0.3;

export function laneBudgets({ lanes, peers }: LaneReport): BudgetRow[] {
  const rows = lanes.map(({ case: { name, budgetUs }, us }) =>
    atMost(`Redis CPU of a reservation, ${name}`, us, budgetUs, 'us'),
  );
  const cost = (batch: number, skus: number): number =>
    lanes.find((each) => each.case.batch === batch && each.case.skus === skus)?.us ?? Number.NaN;
  const one = cost(512, 1);
  const bytes = Math.max(...lanes.map((each) => each.bytes));
  return [
    ...rows,
    atMost('memory of a live reservation', bytes, 200, 'bytes'),
    atMost(
      'batch 512 : EVALSHA that does nothing, each request',
      one / peers['EVALSHA that does nothing'].us,
      OF_EMPTY_SCRIPT,
      'x',
    ),
    atMost(
      'batch 512 : EVALSHA of a bare counter, each request',
      one / peers['EVALSHA of a bare counter'].us,
      OF_BARE_COUNTER,
      'x',
    ),
    atMost('batch 512, 200 SKUs : 1 SKU', cost(512, 200) / one, OF_ONE_SKU, 'x'),
  ];
}

export function hotSkuBudgets(report: HotSkuReport): BudgetRow[] {
  const { closed, open, soldOut, empty, drain, together } = report;
  const perSecond = ({ load }: { load: { answers: number; seconds: number } }): number =>
    load.answers / load.seconds;
  return [
    atMost('engine CPU of a reservation over HTTP', closed.engineUs, 11, 'us'),
    atLeast('reserves over HTTP, persister stopped', perSecond(closed), 60_000, '/s'),
    atMost(`p99 at ${open.rate}/s, open loop`, open.load.latency.p99Ms, 10, 'ms'),
    atLeast('persister alone, from the log', drain.events / drain.seconds, 80_000, '/s'),
    atLeast('reserves over HTTP, persister at work', perSecond(together), 40_000, '/s'),
    atLeast('rejections : empty handler', perSecond(soldOut) / perSecond(empty), 0.75, 'goal'),
    atLeast(
      'rejections : empty handler, at the least',
      perSecond(soldOut) / perSecond(empty),
      REJECTIONS_OF_EMPTY_HANDLER,
      'x',
    ),
    atMost(
      'engine CPU, reserve : empty handler',
      closed.engineUs / empty.engineUs,
      OF_EMPTY_HANDLER,
      'x',
    ),
  ];
}
