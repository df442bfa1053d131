import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { asSku, type Sku } from '../domain/ids.ts';
import type { AvailabilityResult, LaneRefusal } from '../redis/lane-port.ts';
import { Line } from '../runtime/line.ts';
import { FreshReads, SCRIPT_CELLS_MAX, SCRIPT_SKUS_MAX } from './fresh-reads.ts';

const STAMP = { epoch: 1, seq: 1, timeMs: 0, offsetMs: 0 };
const AWAY: LaneRefusal = { outcome: 'store_unavailable', detail: '', retryAfterMs: 1_000 };
const FENCED: LaneRefusal = { outcome: 'fenced', detail: '', retryAfterMs: 1_000 };
const SILENT = { outcome: 'store_unavailable', detail: 'Redis did not answer in time.' };

/** A lane that answers when it is told to, and whose SKUs have as many cells as it is told. */
function slowLane(cellsEach = 1) {
  const asked: (readonly Sku[])[] = [];
  const answers: ((answer: AvailabilityResult | LaneRefusal) => void)[] = [];
  const errors: ((error: Error) => void)[] = [];
  const lane = {
    availability: (skus: readonly Sku[]) =>
      new Promise<AvailabilityResult | LaneRefusal>((resolve, reject) => {
        asked.push(skus);
        answers.push(resolve);
        errors.push(reject);
      }),
  };
  const cell = { available: 1, reserved: 0, allocated: 0, version: 1, field: 'A' as never };
  const cells = Array.from({ length: cellsEach }, () => cell);
  const found = (script: number): AvailabilityResult => ({
    ...{ outcome: 'applied', stamp: STAMP },
    skus: (asked[script] ?? []).map((sku) => ({ sku, known: true, cells, stamp: STAMP })),
  });
  let shown = 0;
  const reads = new FreshReads({
    lane,
    line: new Line(),
    waitMs: 1_000,
    show: (view) => {
      shown += 1;
      if (view.sku === 'BAD') throw new Error('cannot be shown');
      return `${view.sku} as shown ${shown}`;
    },
  });
  const read = (...skus: string[]) =>
    new Promise<readonly string[] | LaneRefusal>((resolve, reject) => {
      reads.read(skus.map(asSku), resolve, reject);
    });
  const land = async (
    script: number,
    answer = found(script) as AvailabilityResult | LaneRefusal,
  ) => {
    answers[script]?.(answer);
    await vi.advanceTimersByTimeAsync(0);
  };
  const turn = () => vi.advanceTimersByTimeAsync(10);
  return { asked, reads, read, land, turn, errors };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('reads in one script what is asked in one turn, and shows a SKU once to all', async () => {
  const { asked, read, land, turn } = slowLane();
  const all = Promise.all([read('MUG'), read('CUP', 'MUG'), read('MUG')]);
  await turn();
  expect(asked).toEqual([['MUG', 'CUP']]);
  await land(0);
  const mug = 'MUG as shown 1';
  expect(await all).toEqual([[mug], ['CUP as shown 2', mug], [mug]]);
});

it('never joins a script that was sent before the question came', async () => {
  const { asked, read, land, turn } = slowLane();
  const before = read('MUG');
  await turn();
  const after = read('MUG');
  await turn();
  expect(asked).toHaveLength(1);
  await land(0);
  expect(await before).toEqual(['MUG as shown 1']);
  await turn();
  expect(asked).toEqual([['MUG'], ['MUG']]);
  await land(1);
  expect(await after).toEqual(['MUG as shown 2']);
});

it('bounds a script by its SKUs, and by the cells that SKUs have had', async () => {
  const { asked, read, land, turn } = slowLane(64);
  const first = read('WIDE');
  await turn();
  await land(0);
  await first;
  for (let i = 0; i < 40; i += 1) void read(`S${i}`);
  await turn();
  expect(asked[1]).toHaveLength(SCRIPT_CELLS_MAX / 64);
  const small = slowLane(1);
  for (let script = 0; script < 60; script += 1) {
    for (let i = 0; i < 300; i += 1) void small.read(`S${i}`);
    await small.turn();
    await small.land(script);
  }
  expect(Math.max(...small.asked.map(({ length }) => length))).toBe(SCRIPT_SKUS_MAX);
});

it('asks for all of a question at once, however many SKUs it has', async () => {
  const { asked, read, turn } = slowLane();
  void read('MUG');
  void read(...Array.from({ length: 1_000 }, (_, i) => `S${i}`));
  await turn();
  expect(asked).toEqual([['MUG']]);
});

it('what cannot be shown fails alone', async () => {
  const { read, land, turn } = slowLane();
  const all = Promise.allSettled([read('MUG'), read('BAD'), read('CUP')]);
  await turn();
  await land(0);
  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

it('hands the lane’s failure to all who wait for it, and asks on', async () => {
  const { asked, errors, read, turn } = slowLane();
  const all = Promise.allSettled([read('MUG'), read('CUP')]);
  await turn();
  errors[0]?.(new Error('a bug'));
  expect((await all).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  void read('MUG');
  await turn();
  expect(asked).toHaveLength(2);
});

it('stops waiting after its bound; then one at a time asks, and the others do not wait', async () => {
  const { asked, read, land, turn } = slowLane();
  const first = read('MUG');
  await turn();
  // It waits for the next script, and would wait for this one first.
  const second = read('MUG');
  await vi.advanceTimersByTimeAsync(1_000);
  await turn();
  expect(await first).toMatchObject(SILENT);
  expect(await second).toMatchObject(SILENT);
  // The first script is out still: it is the one that asks.
  expect(await read('MUG')).toMatchObject(SILENT);
  expect(asked).toHaveLength(1);
  // It ends with the client's timeout, which says nothing of Redis: the next one asks, and waits.
  await land(0, AWAY);
  const asks = read('MUG');
  expect(await read('MUG')).toMatchObject(SILENT);
  await turn();
  expect(asked).toHaveLength(2);
  expect(await read('MUG')).toMatchObject(SILENT);
  await vi.advanceTimersByTimeAsync(1_000);
  await turn();
  expect(await asks).toMatchObject(SILENT);
});

it('counts the wait from the question, not from the script', async () => {
  const { asked, read, land, turn } = slowLane();
  void read('MUG');
  await turn();
  const second = read('CUP');
  await vi.advanceTimersByTimeAsync(900);
  await land(0);
  await turn();
  expect(asked).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(90);
  await turn();
  expect(await second).toMatchObject(SILENT);
});

it.each(['found', 'fenced'])('a late answer (%s) ends the silence', async (late) => {
  const { asked, read, land, turn } = slowLane();
  const lost = read('MUG');
  await vi.advanceTimersByTimeAsync(1_000);
  await turn();
  expect(await lost).toMatchObject(SILENT);
  await (late === 'found' ? land(0) : land(0, FENCED));
  const next = read('MUG');
  await turn();
  expect(asked).toHaveLength(2);
  await land(1);
  expect(await next).toEqual(['MUG as shown 1']);
});
