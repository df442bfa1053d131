import { describe, expect, it } from 'vitest';
import { growthPerSecond } from './persistence-lag.ts';

/** A saw: the persister takes `batch` events at a time; `rise` events a second stay behind. */
function saw(batch: number, rise: number, seconds: number) {
  return Array.from({ length: seconds * 20 }, (_, i) => {
    const atS = i / 20;
    return { atS, events: ((i % 5) / 5) * batch + rise * atS };
  });
}

describe('growthPerSecond', () => {
  it('is nothing for a saw that comes down to the same again, however high its teeth', () => {
    expect(growthPerSecond(saw(8_000, 0, 4), 0.5)).toBeCloseTo(0);
  });

  it('is what stays behind each second', () => {
    const growth = growthPerSecond(saw(8_000, 1_000, 8), 1);
    expect(growth).toBeGreaterThan(900);
    expect(growth).toBeLessThan(1_100);
  });

  it('falls when an old backlog is worked off', () => {
    expect(growthPerSecond(saw(8_000, -500, 8), 1)).toBeLessThan(-450);
  });

  it('does not look at the time in which queues fill', () => {
    const filling = Array.from({ length: 10 }, (_, i) => ({ atS: i / 20, events: i * 10_000 }));
    const flat = saw(100, 0, 4).map((each) => ({ ...each, atS: each.atS + 0.5 }));
    expect(growthPerSecond([...filling, ...flat], 0.5)).toBeCloseTo(0);
  });

  it('says when it has seen too little', () => {
    expect(growthPerSecond(saw(8, 0, 1), 0.9)).toBeNaN();
  });
});
