import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Admission, createBatcher, PATIENCE } from './batcher.ts';

const LIMITS = { itemsMax: 4, weightMax: 100, waitMs: 50 };
/** That a batcher has while something waits or waited: the one that looks for what is too old. */
const TIMERS = 1;
const WAIT_MS_MAX = LIMITS.waitMs * PATIENCE;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A batcher whose batches land, and whose room comes and goes, when the test says so. */
function subject(limits = LIMITS) {
  const state = { room: true, now: 0 };
  const sent: { readonly items: readonly string[]; readonly isConfirmed: boolean }[] = [];
  const landing: (() => void)[] = [];
  const expired: string[] = [];
  const batcher = createBatcher<string>(
    limits,
    {
      send: (items, isConfirmed) => {
        sent.push({ items, isConfirmed });
        return new Promise((resolve) => landing.push(resolve));
      },
      hasRoom: () => state.room,
      expired: (items) => expired.push(...items),
    },
    () => state.now,
  );
  /** A capital letter is patient. */
  const push = (item: string, isConfirmed = false, weight = 1): Admission => {
    state.now += 1;
    return batcher.push(item, weight, { isConfirmed, isPatient: item === item.toUpperCase() });
  };
  const land = async (): Promise<void> => {
    landing.shift()?.();
    await turn();
  };
  return { batcher, state, sent, expired, push, land };
}

it('lets in again whom a script had no room for, however long the queue is', async () => {
  const { batcher, sent, push, land } = subject();
  const manner = { isConfirmed: false, isPatient: false };
  while (push('a') === 'admitted') await turn();
  expect(batcher.push('b', 1, manner)).toBe('crowded');
  expect(batcher.push('c', 1, { ...manner, isBack: true })).toBe('admitted');
  while (batcher.queued > 0) await land();
  expect(sent.at(-1)?.items.at(-1)).toBe('c');
});

describe('a batch', () => {
  it('is what waits at the end of the turn, in order, as far as the limits go', async () => {
    const { sent, push, land } = subject();
    for (const item of ['a', 'b', 'c', 'd', 'e']) push(item);
    expect(sent).toEqual([]);
    await turn();
    expect(sent.map(({ items }) => items.join(''))).toEqual(['abcd', 'e']);
    push('f', false, 99);
    push('g', false, 2);
    await turn();
    expect(sent).toHaveLength(2);
    await land();
    await land();
    expect(sent.map(({ items }) => items.join(''))).toEqual(['abcd', 'e', 'f', 'g']);
  });

  it('takes both kinds while there is room, the oldest first', async () => {
    const { sent, push } = subject();
    for (const [item, isConfirmed] of Object.entries({ a: false, B: true, c: false, D: true })) {
      push(item, isConfirmed);
    }
    push('e');
    await turn();
    expect(sent).toEqual([
      { items: ['a', 'c', 'B', 'D'], isConfirmed: true },
      { items: ['e'], isConfirmed: false },
    ]);
  });

  it('leaves the others behind while there is none, and goes on when there is', async () => {
    const { batcher, state, sent, push, land } = subject();
    state.room = false;
    push('A', true);
    push('b');
    await turn();
    expect(sent).toEqual([{ items: ['b'], isConfirmed: false }]);
    await land();
    push('c');
    await turn();
    expect(sent).toHaveLength(2);
    expect(batcher.queued).toBe(1);
    state.room = true;
    batcher.onRoom();
    expect(sent[2]).toEqual({ items: ['A'], isConfirmed: true });
    expect(batcher.queued).toBe(0);
  });
});

it('goes on beside confirmed batches whose connections hang', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { sent, push, land } = subject();
    for (const item of ['A', 'B']) {
      push(item, true);
      await turn();
    }
    push('c');
    await turn();
    expect(sent.map(({ items }) => items.join(''))).toEqual(['A', 'B']);
    vi.advanceTimersByTime(LIMITS.waitMs);
    expect(sent.map(({ items }) => items.join(''))).toEqual(['A', 'B', 'c']);
    // Their places were given up once: what lands later gives none back.
    await land();
    await land();
    for (const item of ['d', 'e', 'f']) {
      push(item);
      await turn();
    }
    expect(sent.map(({ items }) => items.join(''))).toEqual(['A', 'B', 'c', 'd']);
  } finally {
    vi.useRealTimers();
  }
});

describe('a crowd', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => vi.useRealTimers());

  const namesOf = ({ sent }: ReturnType<typeof subject>): string[] =>
    sent.map(({ items }) => items.join(''));

  /** A batch of so many has just gone out; the clock moves only with `pass` from now on. */
  async function crowd(count = 8) {
    const lane = subject({ ...LIMITS, itemsMax: 20 });
    for (const item of 'abcdefgh'.slice(0, count)) lane.push(item);
    await turn();
    expect(lane.sent).toHaveLength(1);
    const comes = async (items: string, isConfirmed = false): Promise<void> => {
      const { now } = lane.state;
      for (const item of items) lane.push(item, isConfirmed);
      lane.state.now = now;
      await turn();
    };
    const pass = (ms: number): void => {
      lane.state.now += ms;
      vi.advanceTimersByTime(ms);
    };
    return { lane, comes, pass };
  }

  it('is gathered for a millisecond, by one timer, and then goes by itself', async () => {
    const { lane, comes, pass } = await crowd();
    await comes('i');
    await comes('j');
    expect(lane.sent).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(TIMERS + 1);
    pass(1);
    expect(namesOf(lane)).toEqual(['abcdefgh', 'ij']);
  });

  it('is not sent before by a timer that takes whole ms', async () => {
    const { lane, comes, pass } = await crowd();
    lane.state.now += 0.4;
    await comes('i');
    vi.advanceTimersByTime(0);
    expect(lane.sent).toHaveLength(1);
    pass(1);
    expect(namesOf(lane)).toEqual(['abcdefgh', 'i']);
  });

  it('goes with who comes when the moment is over', async () => {
    const { lane, comes } = await crowd();
    lane.state.now += 1;
    await comes('ij');
    expect(namesOf(lane)).toEqual(['abcdefgh', 'ij']);
  });

  it.each([
    { plain: 20, confirmed: 0 },
    { plain: 0, confirmed: 20 },
    { plain: 13, confirmed: 7 },
  ])('goes at once when it fills a batch: $plain and $confirmed', async (of) => {
    const { lane, comes } = await crowd();
    await comes('i'.repeat(of.plain));
    await comes('j'.repeat(of.confirmed), true);
    expect(lane.sent.at(-1)?.items).toHaveLength(20);
  });

  it('is none below eight', async () => {
    const { lane, comes } = await crowd(7);
    await comes('i');
    expect(namesOf(lane)).toEqual(['abcdefg', 'i']);
  });

  it.each([false, true])(
    'is not gathered where a batch has left some behind (confirmed: %s)',
    async (isConfirmed) => {
      const { lane, comes } = await crowd(1);
      await comes('i'.repeat(22), isConfirmed);
      await lane.land();
      expect(lane.sent.map(({ items }) => items.length)).toEqual([1, 20, 2]);
    },
  );

  it('is over when a batch was small: who comes then waits for nobody', async () => {
    const { lane, comes, pass } = await crowd();
    await comes('i');
    pass(1);
    await lane.land();
    await comes('j');
    expect(namesOf(lane)).toEqual(['abcdefgh', 'i', 'j']);
  });
});

describe('admission', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => vi.useRealTimers());

  /** Of forty that come at once. */
  const admittedOf40 = (push: (item: string) => Admission, item: string): number =>
    Array.from({ length: 40 }, () => push(item)).filter((each) => each === 'admitted').length;

  /** A full lane: two batches on their way, and one lands each 10 ms with 4 items. */
  async function fullLane() {
    const lane = subject();
    for (const item of 'abcdefghijkl') lane.push(item);
    await turn();
    for (const _ of [1, 2]) {
      for (const item of 'mnop') lane.push(item);
      lane.state.now += 6;
      await lane.land();
    }
    return lane;
  }

  it('takes a full batch for 10 ms as long as nobody knows how fast the lane is', () => {
    const { push } = subject();
    expect(admittedOf40(push, 'a')).toBe(21);
  });

  it('refuses who would wait longer than the bound, and lets the patient in', async () => {
    const { batcher, push } = await fullLane();
    // 4 in 10 ms: 50 ms are 20 items, and the 21st would wait longer.
    expect(admittedOf40(push, 'a')).toBe(21 - 4);
    expect(push('B')).toBe('admitted');
    expect(push('c')).toBe('crowded');
    expect(batcher.queued).toBe(22);
  });

  it('refuses the patient, too, beyond their own bound', async () => {
    const { push, batcher } = await fullLane();
    while (batcher.queued < 1_000 && push('B') === 'admitted');
    // 4 in 10 ms: 500 ms are 200 items.
    expect(batcher.queued).toBe(201);
  });

  it('sends nothing that has waited longer than the bound', async () => {
    const { state, sent, expired, push, land } = subject();
    for (const item of 'abcdefgh') push(item);
    await turn();
    push('x');
    state.now += WAIT_MS_MAX - 1;
    push('y');
    state.now += 1;
    await land();
    expect(sent.map(({ items }) => items.join(''))).toEqual(['abcd', 'efgh', 'y']);
    expect(expired).toEqual(['x']);
  });

  it('refuses at once where nothing moves, and opens with the first sign that it does', async () => {
    const { state, batcher, expired, push, land } = subject();
    for (const item of 'abcdefgh') push(item);
    await turn();
    push('x');
    state.now += WAIT_MS_MAX + 1;
    expect(push('Y')).toBe('stalled');
    // Nothing lands, so only time ends the wait of who is queued; that is no movement.
    vi.advanceTimersByTime(WAIT_MS_MAX);
    expect(expired).toEqual(['x']);
    expect(batcher.queued).toBe(0);
    expect(push('Y')).toBe('stalled');
    await land();
    expect(push('Y')).toBe('admitted');
  });

  it('judges each of its two queues by itself', () => {
    const { state, push } = subject();
    state.room = false;
    expect(push('A', true)).toBe('admitted');
    state.now += WAIT_MS_MAX;
    expect(push('B', true)).toBe('stalled');
    expect(push('c')).toBe('admitted');
  });

  it('believes a lane that stood still as fast as before after a few batches', async () => {
    const { state, batcher, push, land } = await fullLane();
    admittedOf40(push, 'a');
    state.now += 400;
    await land();
    expect(admittedOf40(push, 'b')).toBe(0);
    for (let i = 0; i < 30; i++) {
      for (const item of 'mnopq') push(item);
      state.now += 5;
      await land();
    }
    admittedOf40(push, 'c');
    expect(batcher.queued).toBeGreaterThan(15);
  });
});
