import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SignOfLife } from './sign-of-life.ts';

const LIMITS = { touchMs: 250, stuckMs: 1_000 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('is shown while the recovery gets on, and ends with it', async () => {
  const touch = vi.fn(async () => undefined);
  const life = new SignOfLife(touch, LIMITS);
  for (let i = 0; i < 10; i++) {
    await vi.advanceTimersByTimeAsync(500);
    life.getOn();
  }
  expect(touch).toHaveBeenCalledTimes(20);
  life.end();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touch).toHaveBeenCalledTimes(20);
});

it('is shown no more when no step got on for too long, and again when one does', async () => {
  const touch = vi.fn(async () => undefined);
  const life = new SignOfLife(touch, LIMITS);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(touch).toHaveBeenCalledTimes(4);
  life.getOn();
  await vi.advanceTimersByTimeAsync(250);
  expect(touch).toHaveBeenCalledTimes(5);
  life.end();
});

it('does not pile up behind a PostgreSQL that hangs, nor end with one that fails', async () => {
  const touch = vi
    .fn<() => Promise<void>>()
    .mockRejectedValueOnce(new Error('away'))
    .mockReturnValueOnce(new Promise(() => undefined));
  const life = new SignOfLife(touch, { touchMs: 250, stuckMs: 60_000 });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(touch).toHaveBeenCalledTimes(2);
  life.end();
});
