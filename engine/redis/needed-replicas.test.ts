import { describe, expect, it } from 'vitest';
import { NeededReplicas } from './needed-replicas.ts';

const EPOCH = 7;

function start(replicas: number) {
  const clock = { ms: 1_000 };
  const needed = new NeededReplicas(replicas, () => clock.ms);
  /** Looks every 250 ms, for so long. */
  const look = (shown: number, forMs: number): number => {
    let count = needed.see(EPOCH, shown);
    for (const endMs = clock.ms + forMs; clock.ms < endMs; count = needed.see(EPOCH, shown)) {
      clock.ms += 250;
    }
    return count;
  };
  return { clock, needed, look };
}

describe('a replica that left', () => {
  it('counts until it was seen to be gone for two seconds', () => {
    const { look } = start(2);
    expect(look(2, 0)).toBe(2);
    expect(look(1, 1_750)).toBe(2);
    expect(look(1, 250)).toBe(1);
    expect(look(1, 0)).toBe(1);
  });

  it('counts anew after a time in which nobody looked: the primary may have hung', () => {
    const { clock, look } = start(2);
    look(1, 1_750);
    clock.ms += 60_000;
    expect(look(1, 1_750)).toBe(2);
    expect(look(1, 250)).toBe(1);
  });

  it('counts anew when it came back in between', () => {
    const { look } = start(2);
    look(1, 1_750);
    look(2, 250);
    expect(look(1, 1_750)).toBe(2);
  });

  it('counts from the start, though it was never seen', () => {
    const { look } = start(2);
    expect(look(1, 0)).toBe(2);
    expect(look(1, 2_000)).toBe(1);
  });
});

it('counts a replica that comes at once', () => {
  const { look } = start(1);
  expect(look(1, 0)).toBe(1);
  expect(look(2, 0)).toBe(2);
});

it('takes what a new primary shows: nobody has left it yet', () => {
  const { needed } = start(2);
  needed.see(EPOCH, 2);
  expect(needed.see(EPOCH + 1, 1)).toBe(1);
  expect(needed.see(EPOCH + 1, 0)).toBe(1);
});
