/**
 * The scenarios of shoppers run, in small, and their audits see every unit; an audit that is told of
 * one unit more or less fails. What they measure means nothing here.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { createBench, type OpenBench } from '../bench.ts';
import { READS_PHASE } from '../capacity-cost.ts';
import type { Bench, Phase, ScenarioReport } from '../scenario.ts';
import { availabilityReads } from './availability-reads.ts';
import { cartAbandon } from './cart-abandon.ts';
import { carts } from './carts.ts';
import { flashDrop } from './flash-drop.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import { longTail } from './long-tail.ts';
import { mixed } from './mixed.ts';
import { measureFlow } from './pace.ts';
import { replay } from './replay.ts';
import { retryStorm } from './retry-storm.ts';
import { auditUnits } from './unit-audit.ts';

const TIMEOUT_MS = 400_000;

let bench: OpenBench;

beforeAll(async () => {
  const directory = join(serverDirectory(currentTestRun(), 'bench'), 'shoppers');
  const quiet = { quick: true, seed: 'test', onProgress: () => undefined };
  bench = await createBench({ directory, ...quiet });
});
afterAll(() => bench.close());

const TINY = { callers: 8, warmUpSeconds: 0.3, seconds: 0.5 };
const RUNS: Readonly<Record<string, (own: Bench) => Promise<ScenarioReport>>> = {
  'flash-drop': (own) =>
    flashDrop.runIn(own, {
      ...{ callers: 8, units: 20, shoppersMax: 100, dropSecondsMax: 60 },
      ...{ warmUpSeconds: 0.3, soldOutSeconds: 0.3 },
    }),
  'long-tail': (own) => longTail.runIn(own, { ...TINY, skus: 50 }),
  carts: (own) => carts.runIn(own, { ...TINY, cartsMax: 10 }),
  replay: (own) => replay.runIn(own, { callers: 16, seconds: 1 }),
  'retry-storm': (own) => retryStorm.runIn(own, TINY),
  'cart-abandon': (own) => cartAbandon.runIn(own, { ...TINY, seconds: 3, probes: 2 }),
  'availability-reads': (own) =>
    availabilityReads.runIn(own, { ...TINY, closedSeconds: 0.5, skus: 20 }),
  mixed: (own) => mixed.runIn(own, { ...TINY, callers: 24, skus: 20 }),
};

describe('each scenario', () => {
  it.each(Object.keys(RUNS))('%s, to its audit', { timeout: TIMEOUT_MS }, async (name) => {
    const report = await bench.during({}, async (own) => {
      const run = RUNS[name];
      if (run === undefined) throw new Error(`no ${name}`);
      return await run(own);
    });
    expect(report.audit.words.filter((each) => each.startsWith('WRONG: '))).toEqual([]);
    expect(report.audit.ok).toBe(true);
    expect(report.name).toBe(name);
    expect(report.audit.words.join('\n')).toContain('0 differences between Redis');
    // A capacity plan finds it by its name.
    const named = report.phases.filter((each) => each.name === READS_PHASE);
    expect(named).toHaveLength(name === 'availability-reads' ? 1 : 0);
    for (const { load } of report.phases) expect(load.answers).toBeGreaterThan(0);
    for (const { points } of report.series)
      expect(points.every(([, each]) => each >= 0)).toBe(true);
  });
});

describe('the audit of units', () => {
  it('finds a unit that is missing, or was sold once more', { timeout: TIMEOUT_MS }, async () => {
    await bench.during({}, async (own) => {
      const world = await own.open();
      const skuIds = ['S0'];
      await putOnSale(world.shop.url, cellsOf(skuIds, 10));
      const wishes = {
        kind: 'one',
        skus: { prefix: 'S', count: 1 },
        warehouse: WAREHOUSE,
      } as const;
      const params = { seed: 'x', wishes, shoppers: 12, commitShare: 0.5 };
      const bounds = { callers: 3, seconds: 60 };
      const phase = await measureFlow(world, 'all', bounds, { name: 'checkout', params });
      expect(phase.load.tally).toMatchObject({ shoppers: 12, held: 10, refused: 2 });
      const audit = async (received: number, wrong: Readonly<Record<string, number>> = {}) => {
        const phases = [{ ...phase, load: plus(phase.load, wrong) }];
        return await auditUnits(world, [{ skuIds, received, phases }]);
      };
      expect(await audit(10)).toMatchObject({ ok: true });
      expect(await audit(11)).toMatchObject({ ok: false });
      expect(await audit(9)).toMatchObject({ ok: false });
      for (const name of ['held', 'heldUnits', 'committedUnits', 'releasedUnits']) {
        const { ok, words } = await audit(10, { [name]: 1 });
        expect([name, ok]).toEqual([name, false]);
        expect(words.some((each) => each.startsWith('WRONG: '))).toBe(true);
      }
      // What an answer left open is the only slack.
      expect(await audit(10, { held: 1, heldUnits: 1, unknownUnits: 1 })).toMatchObject({
        ok: true,
      });
    });
  });
});

function plus(load: Phase['load'], more: Readonly<Record<string, number>>): Phase['load'] {
  const sums = Object.entries(more).map(([name, each]) => [name, (load.tally[name] ?? 0) + each]);
  return { ...load, tally: { ...load.tally, ...Object.fromEntries(sums) } };
}
