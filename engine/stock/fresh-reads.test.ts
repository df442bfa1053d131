import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { asSku } from '../domain/ids.ts';
import type { AvailabilityResult, LaneRefusal } from '../redis/lane-port.ts';
import { FreshReads } from './fresh-reads.ts';

const SKUS = [asSku('MUG')];
const STAMP = { epoch: 1, seq: 1, timeMs: 0, offsetMs: 0 };
const FOUND: AvailabilityResult = { outcome: 'applied', stamp: STAMP, skus: [] };
const AWAY: LaneRefusal = { outcome: 'store_unavailable', detail: '', retryAfterMs: 1_000 };
const FENCED: LaneRefusal = { outcome: 'fenced', detail: '', retryAfterMs: 1_000 };

/** A lane that answers when it is told to. */
function slowLane() {
  const answers: ((answer: AvailabilityResult | LaneRefusal) => void)[] = [];
  const lane = {
    availability: () =>
      new Promise<AvailabilityResult | LaneRefusal>((resolve) => {
        answers.push(resolve);
      }),
  };
  return { answers, reads: new FreshReads(lane, 1_000) };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('gives what the lane says', async () => {
  const { answers, reads } = slowLane();
  const reading = reads.read(SKUS);
  answers[0]?.(FOUND);
  expect(await reading).toBe(FOUND);
});

it('stops waiting after its bound; then one at a time asks, and the others do not wait', async () => {
  const { answers, reads } = slowLane();
  const first = reads.read(SKUS);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await first).toMatchObject({ outcome: 'store_unavailable' });
  // The first call is out still: it is the one that asks.
  expect(await reads.read(SKUS)).toMatchObject({ outcome: 'store_unavailable' });
  expect(answers).toHaveLength(1);
  // It ends with the client's timeout, which says nothing of Redis: the next one asks, and waits.
  answers[0]?.(AWAY);
  await vi.advanceTimersByTimeAsync(0);
  const asks = reads.read(SKUS);
  expect(answers).toHaveLength(2);
  expect(await reads.read(SKUS)).toMatchObject({ outcome: 'store_unavailable' });
  expect(answers).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await asks).toMatchObject({ outcome: 'store_unavailable' });
});

it.each([FOUND, FENCED])('a late answer ($outcome) ends the silence', async (late) => {
  const { answers, reads } = slowLane();
  void reads.read(SKUS);
  void reads.read(SKUS);
  await vi.advanceTimersByTimeAsync(1_000);
  answers[0]?.(late);
  await vi.advanceTimersByTimeAsync(0);
  const next = reads.read(SKUS);
  expect(answers).toHaveLength(3);
  answers[2]?.(FOUND);
  expect(await next).toBe(FOUND);
});
