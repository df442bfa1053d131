import { describe, expect, it } from 'vitest';
import { createBatcher } from './batcher.ts';

const LIMITS = { itemsMax: 4, weightMax: 100, waitMsMax: 500 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A batcher whose batches land, and whose room comes and goes, when the test says so. */
function subject(limits = LIMITS) {
  const state = { room: true, now: 0 };
  const sent: { readonly items: readonly string[]; readonly isConfirmed: boolean }[] = [];
  const landing: (() => void)[] = [];
  const batcher = createBatcher<string>(
    limits,
    {
      send: (items, isConfirmed) => {
        sent.push({ items, isConfirmed });
        return new Promise((resolve) => landing.push(resolve));
      },
      hasRoom: () => state.room,
    },
    () => state.now,
  );
  const push = (item: string, isConfirmed = false, weight = 1): boolean => {
    state.now += 1;
    return batcher.push(item, weight, isConfirmed);
  };
  const land = async (): Promise<void> => {
    landing.shift()?.();
    await turn();
  };
  return { batcher, state, sent, push, land };
}

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

  it('refuses by the oldest of its own queue', () => {
    const { state, push } = subject();
    state.room = false;
    expect(push('A', true)).toBe(true);
    state.now += LIMITS.waitMsMax;
    expect(push('B', true)).toBe(false);
    expect(push('c')).toBe(true);
  });
});
