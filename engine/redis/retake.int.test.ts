/**
 * A commit takes the units of a gone hold again in its own time alone, on a real Redis: who was told
 * meanwhile that the hold is gone has refunded. An engine that knows too little of the lane for that
 * is told nothing final, and does it the second time.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packId } from '../domain/reservation-id.ts';
import type { Lane } from './lane-port.ts';
import {
  open,
  reserve,
  retaking,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

const ID = packId('gone');
const LINES = { 'X@A': 2 };
const FREE = { A: [10, 0, 0] };

let t: TestLane;
/** Another engine: it knows of the lane what its own replies told it. */
let engine: Lane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10 });
  await t.submit(reserve(ID, LINES, { ttlS: 60 }));
  await t.passSeconds(62);
  await t.lane.expire(100);
  engine = t.connectLane();
});
afterEach(() => t.stop());

const sees = () => engine.availability([]);

async function expectUndecided(operation = retaking(ID, LINES)): Promise<void> {
  const before = await t.entries();
  expect(await t.submit(operation, engine)).toMatchObject({ outcome: 'undecided' });
  expect(await t.entries()).toEqual(before);
  expect(await t.cells('X')).toEqual(FREE);
}

async function expectTaken(): Promise<void> {
  expect(await t.submit(retaking(ID, LINES), engine)).toMatchObject({ outcome: 'committed' });
  expect(await t.cells('X')).toEqual({ A: [8, 0, 2] });
}

it('is done by an engine that has seen the lane', async () => {
  await sees();
  await expectTaken();
});

it('is not done when the time of the commit is over', async () => {
  await sees();
  await expectUndecided(retaking(ID, LINES, { untilMs: performance.now() }));
  await expectTaken();
});

it('is done in the second try by an engine that has seen nothing yet', async () => {
  await expectUndecided();
  await expectTaken();
});

it('is not done when lane time passed while it was on its way', async () => {
  await sees();
  await t.passSeconds(600);
  await expectUndecided();
  await expectTaken();
});

it('is not done in another epoch, however little lane time passed', async () => {
  await sees();
  await open(t.state, TERM + 1);
  await expectUndecided();
  await expectTaken();
});

it('is not done while lane time stands still, because the clock of Redis was set back', async () => {
  await t.passSeconds(100);
  await sees();
  await t.passSeconds(-600);
  await expectUndecided();
  await t.passSeconds(600);
  await sees();
  await expectTaken();
});

it('takes a lost hold again, also right after the recovery that lost it', async () => {
  await sees();
  const keys = await t.redis.keys('*hold:*');
  for (const each of keys) await t.redis.hdel(each, ID.toString());
  const lost = retaking(ID, LINES, { holdEpoch: TERM });
  expect(await t.submit(lost)).toMatchObject({ outcome: 'not_found' });
  await open(t.state, TERM + 1);
  await expectUndecided(lost);
  expect(await t.submit(lost, engine)).toMatchObject({ outcome: 'committed' });
});
