/** Rows that are written as they come make the same statements as those of a batch that is there whole. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asReservation, asSku } from '../engine/domain/ids.ts';
import type { Entry } from '../engine/events/entry.ts';
import { BatchFold, foldBatch } from './batch.ts';
import { BatchEncoder, type EncodedBatch } from './encode-batch.ts';
import { history, play } from './testing/random-history.ts';
import { at, SimulatedLane } from './testing/simulated-lane.ts';

const SKU = asSku('HOT-1');

function encodeAsTheyCome(encoder: BatchEncoder, entries: readonly Entry[]): EncodedBatch {
  const fold = new BatchFold(encoder.begin());
  for (const entry of entries) fold.add(entry);
  const steps = encoder.endInSteps(fold.end());
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

it('encodes any history as it comes, whatever a batch before it left behind', () => {
  const encoder = new BatchEncoder(0);
  fc.assert(
    fc.property(history, history, (givenUp, happenings) => {
      const entries = play(new SimulatedLane(), happenings);
      const whole = new BatchEncoder(0).encode(foldBatch(entries));
      // Its rows that are final are written, and then the log cannot be read any further.
      const fold = new BatchFold(encoder.begin());
      for (const entry of play(new SimulatedLane(), givenUp)) fold.add(entry);
      expect(encodeAsTheyCome(encoder, entries)).toEqual(whole);
      const nothing = { entries: [], changed: [], created: [] };
      expect(encodeAsTheyCome(encoder, [])).toEqual(nothing);
    }),
  );
});

/** Rows that are encoded in more than one step. */
const MANY = 1_100;

describe.each(['reserves', 'commits'] as const)('a batch of many %s', (kind) => {
  it('is forgotten when it was half encoded and given up', () => {
    const lane = new SimulatedLane();
    const before = [lane.open(1)];
    lane.define(SKU);
    lane.moveStock('opening', 'receive', [{ sku: SKU, field: at('W1'), quantity: 2 * MANY }]);
    const ids = Array.from({ length: MANY }, (_, i) => asReservation(`r${i}`));
    for (const id of ids) lane.reserve(id, [{ sku: SKU, field: at('W1'), quantity: 1 }]);
    before.push(lane.batch());
    for (const id of ids) lane.commit(id);
    const entries = kind === 'reserves' ? before : [lane.batch()];
    const encoder = new BatchEncoder(0);
    const fold = new BatchFold(encoder.begin());
    for (const entry of entries) fold.add(entry);
    expect(encoder.endInSteps(fold.end()).next().done).toBe(false);
    const whole = new BatchEncoder(0).encode(foldBatch(entries));
    expect(encodeAsTheyCome(encoder, entries)).toEqual(whole);
  });
});

it('tells the days of its entries, each once, and the time of the last', () => {
  const lane = new SimulatedLane();
  const entries = play(lane, []).concat(lane.open(1));
  const [first] = entries;
  if (first === undefined) throw new Error('no entry');
  const day = 86_400_000;
  const { days, timeMs } = foldBatch([
    { ...first, timeMs: 3 * day },
    { ...first, timeMs: 4 * day - 1 },
    { ...first, timeMs: 40 * day },
  ]);
  expect([...days]).toEqual([3, 40]);
  expect(timeMs).toBe(40 * day);
});
