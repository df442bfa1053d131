/**
 * What one script may be made to look at: a SKU in more warehouses than a block of the list has
 * (lua/includes/cells.lua), and carts that are settled, or expire, together.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { KEYS, reserve, settle, startTestLane, type TestLane } from './testing/test-lane.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const WAREHOUSES = 200;

let t: TestLane | undefined;
const lane = (): TestLane => {
  if (t === undefined) throw new Error('no lane was started');
  return t;
};
beforeEach(async () => {
  await t?.stop();
  t = await startTestLane();
});
afterAll(() => t?.stop());

/** Numerical Recipes' generator: the seed is printed. */
function drawer(seed: number): (most: number) => number {
  let state = seed >>> 0;
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

/** The rule, without blocks: the fullest first, of several the first by name, while there is any. */
function takeFullest(units: Map<string, number>, wanted: number): [string, number][] {
  const taken: [string, number][] = [];
  let left = wanted;
  while (left > 0) {
    const [field, most] = [...units].reduce((best, each) =>
      each[1] > best[1] || (each[1] === best[1] && each[0] < best[0]) ? each : best,
    );
    const quantity = Math.min(most, left);
    units.set(field, most - quantity);
    taken.push([field, quantity]);
    left -= quantity;
  }
  return taken;
}

describe('a SKU in many warehouses', () => {
  it(`gives from the fullest, however often they change within a batch (seed ${SEED})`, async () => {
    const draw = drawer(SEED);
    const fields = Array.from({ length: WAREHOUSES }, (_, i) => `W${i}`);
    const units = new Map(fields.map((field) => [field, draw(6)]));
    // A refusal that looks at all of them, a pool that is not of them, and one warehouse by name.
    await lane().receive({
      ...Object.fromEntries([...units].map(([field, n]) => [`WIDE@${field}`, n + 1])),
      'WIDE@W0/web': 50,
    });
    for (const field of fields) units.set(field, (units.get(field) ?? 0) + 1);
    const wishes = Array.from({ length: 30 }, () => 8 + draw(8));
    const asked = wishes.map((wanted, i) => {
      const id = lane().ids.make(lane().lane.nowMs(), 0);
      const split = i % 3 > 0;
      return { wanted, split, answer: lane().submit(reserve(id, { WIDE: wanted }, { split })) };
    });
    for (const { wanted, split, answer } of asked) {
      const { outcome, record, shortages } = await answer;
      if (split) {
        expect(outcome).toBe('created');
        const placements =
          record !== undefined && 'lines' in record ? record.lines[0]?.placements : undefined;
        expect(placements?.map(({ field, quantity }) => [field, quantity])).toEqual(
          takeFullest(units, wanted),
        );
      } else {
        // No warehouse has more than six.
        expect(outcome).toBe('insufficient');
        expect(shortages).toEqual([{ line: 0, available: Math.max(...units.values()) }]);
      }
    }
    const cells = await lane().cells('WIDE');
    for (const [field, n] of units) expect(cells[field]?.[0], field).toBe(n);
    expect(cells['W0/web']?.[0]).toBe(50);
  });
});

describe('carts that are committed together', () => {
  const CARTS = 3;
  const LINES = 1_000;
  const FIELDS = ['A', 'B', 'C', 'D'];

  it('are decided one script after the other, where one entry would have too many cells', async () => {
    const skusOf = (cart: number): string[] =>
      Array.from({ length: LINES }, (_, i) => `C${cart}-S${i}`);
    const ids: Buffer[] = [];
    for (let cart = 0; cart < CARTS; cart++) {
      const skus = skusOf(cart);
      for (const field of FIELDS) {
        await lane().receive(Object.fromEntries(skus.map((sku) => [`${sku}@${field}`, 1])));
      }
      const id = lane().ids.make(lane().lane.nowMs(), 0);
      const wish = skus.map((sku) => [`${sku}@${FIELDS.join(',')}`, FIELDS.length]);
      expect((await lane().submit(reserve(id, Object.fromEntries(wish)))).outcome).toBe('created');
      ids.push(id);
    }
    const before = (await lane().entries()).length;
    const answers = await Promise.all(ids.map((id) => lane().submit(settle('commit', id))));
    expect(answers.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'committed'));
    const commits = (await lane().entries()).slice(before);
    expect(commits.map(({ changes }) => changes.length)).toEqual(ids.map(() => 1));
    expect((await lane().cells('C2-S7')).A).toEqual([0, 0, 1]);
  });
});

describe('carts that come together', () => {
  const LINES = 8;
  /** Two for the cart, and for each line a cell that is read and a place. */
  const IN_A_BATCH = Math.floor(SCRIPT_WORK_MAX / (2 + 1 + 2 * LINES));

  it('are as many to a batch as there is room for', async () => {
    const skus = Array.from({ length: LINES }, (_, i) => `W${i}@A`);
    const carts = IN_A_BATCH + 1;
    await lane().receive(Object.fromEntries(skus.map((sku) => [sku, carts])));
    const before = (await lane().entries()).length;
    const lines = Object.fromEntries(skus.map((sku) => [sku, 1]));
    await Promise.all(
      Array.from({ length: carts }, () =>
        lane().submit(reserve(lane().ids.make(lane().lane.nowMs(), 0), lines)),
      ),
    );
    const batches = (await lane().entries()).slice(before);
    expect(batches.map(({ changes }) => changes.length)).toEqual([IN_A_BATCH, 1]);
    expect((await lane().cells('W3')).A).toEqual([0, carts, 0]);
  });
});

describe('a settlement that names all lines of a great cart', () => {
  const LINES = 1_000;

  it('takes each from its own place, and refuses one unit too many', async () => {
    const skus = Array.from({ length: LINES }, (_, i) => `N${i}`);
    for (const field of ['A', 'B']) {
      await lane().receive(Object.fromEntries(skus.map((sku) => [`${sku}@${field}`, 2])));
    }
    const id = lane().ids.make(lane().lane.nowMs(), 0);
    await lane().submit(reserve(id, Object.fromEntries(skus.map((sku) => [`${sku}@A,B`, 3]))));
    const commit = (lines: Record<string, number>) =>
      lane().submit(settle('commit', id, lines, { commitFingerprint: 7 }));
    const all = Object.fromEntries(skus.map((sku) => [`${sku}@A`, 2]));
    expect((await commit({ ...all, 'N500@B': 2 })).outcome).toBe('exceeds_reservation');
    expect((await commit({ ...all, N500: 1, N7: 1 })).outcome).toBe('committed');
    expect(await lane().cells('N500')).toEqual({ A: [0, 0, 2], B: [1, 0, 1] });
    expect(await lane().cells('N8')).toEqual({ A: [0, 0, 2], B: [2, 0, 0] });
  });
});

describe('a receipt of many lines', () => {
  const LINES = 1_000;

  it('reads and writes each cell once, and asks for no SKU of which a cell stands', async () => {
    const skus = Array.from({ length: LINES }, (_, i) => `R${i}@A`);
    const receipt = Object.fromEntries(skus.map((sku) => [sku, 2]));
    await lane().receive(receipt);
    await lane().redis.config('RESETSTAT');
    // Half of them in a warehouse where they never stood, so there the SKU is asked for; once each.
    const moved = skus.map((sku, i) => [i % 2 === 0 ? sku : sku.replace('@A', '@B'), 3]);
    await lane().receive(Object.fromEntries(moved));
    const stats = await lane().redis.info('commandstats');
    const calls = (name: string) =>
      Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    // Describing them, which the test does before, asks for each SKU.
    expect(calls('hexists')).toBe(LINES + LINES / 2);
    expect(calls('hget')).toBeLessThan(LINES * 1.5 + 10);
    expect(await lane().cells('R7')).toEqual({ A: [2, 0, 0], B: [3, 0, 0] });
    expect(await lane().cells('R8')).toEqual({ A: [5, 0, 0] });
  });
});

describe('carts that expire together', () => {
  const CARTS = 20;
  const LINES = 10;
  /** The first reads its cells; then each is itself, and its places a quarter. */
  const WORK = 50;

  it('are given back a few at a time, and those that are left keep their reference', async () => {
    const skus = Array.from({ length: LINES }, (_, i) => `S${i}@A`);
    await lane().receive(Object.fromEntries(skus.map((sku) => [sku, CARTS])));
    const lines = Object.fromEntries(skus.map((sku) => [sku, 1]));
    await Promise.all(
      Array.from({ length: CARTS }, () =>
        lane().submit(reserve(lane().ids.make(lane().lane.nowMs(), 0), lines, { ttlS: 60 })),
      ),
    );
    await lane().passSeconds(62);
    let left = CARTS;
    let slices = 0;
    for (; left > 0; slices++) {
      const slice = await lane().lane.expire(WORK);
      if (slice.outcome !== 'expired') throw new Error(slice.outcome);
      expect(slice.expired).toBeGreaterThan(0);
      left -= slice.expired;
      expect(slice.more).toBe(left > 0);
      expect(await referencesLeft()).toBe(left);
      expect((await lane().cells('S3')).A).toEqual([CARTS - left, left, 0]);
    }
    expect(slices).toBeGreaterThan(2);
    expect(await lane().lane.expire(WORK)).toMatchObject({ expired: 0, more: false });
    expect(await lane().redis.exists(KEYS.deadlines)).toBe(0);
  });

  it('are given back one at a time where there is room for none', async () => {
    const skus = Array.from({ length: LINES }, (_, i) => `S${i}@A`);
    await lane().receive(Object.fromEntries(skus.map((sku) => [sku, 2])));
    const lines = Object.fromEntries(skus.map((sku) => [sku, 1]));
    for (let i = 0; i < 2; i++) {
      await lane().submit(reserve(lane().ids.make(lane().lane.nowMs(), 0), lines, { ttlS: 60 }));
    }
    await lane().passSeconds(62);
    for (const more of [true, false]) {
      expect(await lane().lane.expire(1)).toMatchObject({ expired: 1, more });
    }
  });

  async function referencesLeft(): Promise<number> {
    const seconds = await lane().redis.zrange(KEYS.deadlines, '0', '-1');
    const lists = await Promise.all(
      seconds.map((second) => lane().redis.lrangeBuffer(KEYS.due(Number(second)), 0, -1)),
    );
    const bytes = lists.flat().reduce((sum, { length }) => sum + length, 0);
    // u16 generation, u24 bucket, u8 17, an id of 17 bytes.
    return bytes / 23;
  }
});
