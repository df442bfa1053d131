/** What Redis refuses whole: the answer says that nothing was changed, so nothing may be. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Operation } from './operation.ts';
import { reserve, settle, startTestLane, type TestLane } from './testing/test-lane.ts';

let t: TestLane;
beforeAll(async () => {
  t = await startTestLane();
  await t.receive({ 'MUG@LON': 5 });
});
afterAll(() => t.stop());

/** While Redis has the setting, and what it had is put back. */
async function during<T>(setting: string, value: string, work: () => Promise<T>): Promise<T> {
  const [, before = ''] = (await t.redis.config('GET', setting)) as string[];
  await t.redis.config('SET', setting, value);
  try {
    return await work();
  } finally {
    await t.redis.config('SET', setting, before);
  }
}

async function expectRefused(operation: Operation, reason: RegExp): Promise<void> {
  const answer: unknown = await t.submit(operation);
  const detail = expect.stringMatching(reason);
  expect(answer).toMatchObject({ outcome: 'store_unavailable', mayArrive: false, detail });
  expect(answer).toMatchObject({ detail: expect.stringContaining('Nothing was changed.') });
}

const newId = (): Buffer => t.ids.make(t.lane.nowMs(), 0);

it('a Redis with too few replicas, and one that is out of memory, change nothing', async () => {
  const held = newId();
  expect((await t.submit(reserve(held, { 'MUG@LON': 2 }))).outcome).toBe('created');
  const before = [await t.cells('MUG'), await t.entries()];
  // Of these the first one alone stands in a run.
  const reserves = [true, false].map((fresh) => reserve(newId(), { 'MUG@LON': 1 }, { fresh }));
  await during('min-replicas-to-write', '1', async () => {
    for (const operation of [...reserves, settle('commit', held), settle('release', held)]) {
      await expectRefused(operation, /^Redis has too few replicas/);
    }
  });
  await during('maxmemory', '1', async () => {
    for (const operation of reserves) await expectRefused(operation, /^Redis is out of memory/);
    expect([await t.cells('MUG'), await t.entries()]).toEqual(before);
    expect((await t.submit(settle('commit', held))).outcome).toBe('committed');
  });
  expect(await t.cells('MUG')).toEqual({ LON: [3, 0, 2] });
});
