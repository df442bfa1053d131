import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { watchLoopDelay } from './loop-delay.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('tells by how much a tick is late, once for one block', () => {
  let blockedMs = 0;
  const seen: number[] = [];
  const stop = watchLoopDelay(
    (delayS) => seen.push(delayS),
    () => Date.now() + blockedMs,
  );
  vi.advanceTimersByTime(20);
  blockedMs = 50;
  vi.advanceTimersByTime(30);
  expect(seen).toEqual([0, 0, 0.05, 0, 0]);
  stop();
  vi.advanceTimersByTime(100);
  expect(seen).toHaveLength(5);
});

it('is never early', () => {
  let aheadMs = 0;
  const seen: number[] = [];
  const stop = watchLoopDelay(
    (delayS) => seen.push(delayS),
    () => Date.now() - aheadMs,
  );
  aheadMs = 5;
  vi.advanceTimersByTime(10);
  expect(seen).toEqual([0]);
  stop();
});
