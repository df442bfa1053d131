/**
 * A reserve under an id that is called fresh comes late, on a real Redis: its engine gave it up, and
 * told its client the id. What was done under that id since stays as it is.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReserveOperation } from './operation.ts';
import {
  open,
  prepareBatch,
  reserve,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10, 'Y@A': 10 });
});
afterEach(() => t.stop());

const freshId = (): Buffer => t.ids.make(t.lane.nowMs(), 0);

const LATE = {
  'lane time has passed': () => t.passSeconds(600),
  'the lane was closed meanwhile': () => open(t.state, TERM + 1),
};

describe.each(Object.entries(LATE))('late, because %s', (_, makeLate) => {
  it.each([
    ['a run', { 'X@A': 1 }],
    ['a cart', { 'X@A': 1, 'Y@A': 2 }],
  ])('%s', async (_form, lines: Record<string, number>) => {
    const id = freshId();
    const original: ReserveOperation = reserve(id, lines, { fresh: true });
    const { arrive } = prepareBatch(t, [original]);
    await makeLate();
    expect(await t.submit({ ...original, fresh: false })).toMatchObject({ outcome: 'created' });
    await t.submit({ kind: 'release', id, attributes: '' });
    const entries = await t.entries();
    await arrive('submit');
    expect(await t.entries()).toEqual(entries);
    const { record } = await t.submit({ kind: 'inspect', id });
    expect(record).toMatchObject({ state: 'released' });
    expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
  });
});

it('is sent again by an engine that knew too little of the lane, and nobody notices', async () => {
  const engine = t.connectLane();
  const buy = () => t.submit(reserve(freshId(), { 'X@A': 1 }, { fresh: true }), engine);
  expect(await buy()).toMatchObject({ outcome: 'created' });
  await t.passSeconds(600);
  expect(await buy()).toMatchObject({ outcome: 'created' });
  await open(t.state, TERM + 1);
  expect(await buy()).toMatchObject({ outcome: 'created' });
  expect(await t.cells('X')).toEqual({ A: [7, 3, 0] });
});
