/**
 * Who reads after a change was told sees it, whatever is under way: shoppers and a shop that sells,
 * against a lane whose scripts run somewhere between their sending and their reply.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { asSku, type Sku } from '../domain/ids.ts';
import type { AvailabilityResult, LaneRefusal } from '../redis/lane-port.ts';
import { Line } from '../runtime/line.ts';
import { FreshReads } from './fresh-reads.ts';

const SKUS = ['A', 'B', 'C', 'D'].map(asSku);
const AWAY: LaneRefusal = { outcome: 'store_unavailable', detail: '', retryAfterMs: 1_000 };

type Step =
  | { readonly kind: 'ask'; readonly skus: readonly Sku[] }
  | { readonly kind: 'sell'; readonly sku: Sku }
  | { readonly kind: 'run' | 'land' | 'lose' | 'turn' | 'hang' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.uniqueArray(fc.constantFrom(...SKUS), { minLength: 1 }).map(ask) },
  { weight: 3, arbitrary: fc.constantFrom(...SKUS).map((sku) => ({ kind: 'sell', sku }) as const) },
  {
    weight: 6,
    arbitrary: fc.constantFrom<'run' | 'land' | 'turn'>('run', 'land', 'turn').map(simple),
  },
  { weight: 1, arbitrary: fc.constantFrom<'lose' | 'hang'>('lose', 'hang').map(simple) },
);

function ask(skus: readonly Sku[]): Step {
  return { kind: 'ask', skus };
}
function simple(kind: 'run' | 'land' | 'lose' | 'turn' | 'hang'): Step {
  return { kind };
}

interface Seen {
  readonly sku: Sku;
  readonly version: number;
  /** The instant of the script that read it. */
  readonly instant: number;
}

interface Asked {
  readonly skus: readonly Sku[];
  readonly atLeast: ReadonlyMap<Sku, number>;
  readonly answers: (readonly Seen[] | LaneRefusal)[];
}

/** A lane, and what was sold there. */
function createModel() {
  const sold = new Map(SKUS.map((sku) => [sku, 0]));
  const scripts: {
    readonly skus: readonly Sku[];
    readonly resolve: (answer: AvailabilityResult | LaneRefusal) => void;
    result?: AvailabilityResult;
  }[] = [];
  let instants = 0;
  let underWayMax = 0;
  const run = (): void => {
    const script = scripts.find(({ result }) => result === undefined);
    if (script === undefined) return;
    instants += 1;
    const stamp = { epoch: 1, seq: instants, timeMs: 0, offsetMs: 0 };
    script.result = {
      ...{ outcome: 'applied', stamp },
      skus: script.skus.map((sku) => ({
        ...{ sku, known: true, stamp },
        cells: [
          {
            ...{ field: 'W' as never, available: 0, reserved: 0, allocated: 0 },
            version: sold.get(sku) ?? 0,
          },
        ],
      })),
    };
  };
  const end = (answer?: LaneRefusal): void => {
    if (answer === undefined) run();
    const script = scripts.shift();
    if (script !== undefined) script.resolve(answer ?? script.result ?? AWAY);
  };
  return {
    lane: {
      availability: (skus: readonly Sku[]) =>
        new Promise<AvailabilityResult | LaneRefusal>((resolve) => {
          scripts.push({ skus, resolve });
          underWayMax = Math.max(underWayMax, scripts.length);
        }),
    },
    versions: (): ReadonlyMap<Sku, number> => new Map(sold),
    underWay: () => scripts.length,
    underWayMax: () => underWayMax,
    sell: (sku: Sku) => void sold.set(sku, (sold.get(sku) ?? 0) + 1),
    run,
    land: () => end(),
    lose: () => end(AWAY),
  };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('each question is answered once, from one answer of the lane, read after it was asked', async () => {
  const history = fc.array(step, { minLength: 5, maxLength: 80 });
  const outcome = await fc.check(
    fc.asyncProperty(history, async (steps) => {
      const model = createModel();
      const reads = new FreshReads<Seen>({
        lane: model.lane,
        line: new Line(),
        show: ({ sku, cells, stamp }) => ({
          ...{ sku, instant: stamp.seq },
          version: cells[0]?.version ?? -1,
        }),
      });
      const asked: Asked[] = [];
      for (const each of steps) {
        if (each.kind === 'sell') model.sell(each.sku);
        else if (each.kind === 'ask') {
          const one: Asked = { skus: each.skus, atLeast: model.versions(), answers: [] };
          asked.push(one);
          reads.read(
            each.skus,
            (answer) => void one.answers.push(answer),
            (error) => expect.unreachable(String(error)),
          );
        } else if (each.kind === 'turn') await vi.advanceTimersByTimeAsync(5);
        else if (each.kind === 'hang') await vi.advanceTimersByTimeAsync(1_100);
        else model[each.kind]();
        await vi.advanceTimersByTimeAsync(0);
      }
      do {
        model.land();
        await vi.advanceTimersByTimeAsync(5);
      } while (model.underWay() > 0);
      expect(model.underWayMax()).toBeLessThanOrEqual(1);
      for (const { skus, atLeast, answers } of asked) expectFresh(skus, atLeast, answers);
    }),
    { numRuns: 300 },
  );
  process.stdout.write(`fresh reads: seed ${outcome.seed}\n`);
  expect(outcome.failed, fc.defaultReportMessage(outcome)).toBe(false);
}, 120_000);

function expectFresh(
  skus: readonly Sku[],
  atLeast: ReadonlyMap<Sku, number>,
  answers: Asked['answers'],
): void {
  expect(answers).toHaveLength(1);
  const [answer = AWAY] = answers;
  if ('outcome' in answer) return;
  expect(answer.map(({ sku }) => sku)).toEqual(skus);
  expect(new Set(answer.map(({ instant }) => instant)).size).toBe(1);
  for (const { sku, version } of answer) {
    expect(version).toBeGreaterThanOrEqual(atLeast.get(sku) ?? 0);
  }
}
