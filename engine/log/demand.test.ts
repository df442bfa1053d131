import { expect, it } from 'vitest';
import { Demand } from './demand.ts';

const LONG_MS = 600_000;

it('is beyond what stands before it, in this epoch and in older ones', () => {
  const demand = new Demand();
  demand.raise({ epoch: 7, seq: 5 });
  expect(demand.isBeyond({ epoch: 7, seq: 4 })).toBe(true);
  expect(demand.isBeyond({ epoch: 6, seq: 900 })).toBe(true);
  expect(demand.isBeyond({ epoch: 7, seq: 5 })).toBe(false);
  expect(demand.isBeyond({ epoch: 8, seq: 1 })).toBe(false);
});

it('never goes back', () => {
  const demand = new Demand();
  demand.raise({ epoch: 7, seq: 5 });
  demand.raise({ epoch: 7, seq: 2 });
  demand.raise({ epoch: 6, seq: 9 });
  expect(demand.isBeyond({ epoch: 7, seq: 4 })).toBe(true);
});

it('ends a pause, of all who pause, when it grows', async () => {
  const demand = new Demand();
  const pauses = [demand.pause(LONG_MS), demand.pause(LONG_MS)];
  demand.raise({ epoch: 7, seq: 5 });
  await Promise.all(pauses);
  const next = demand.pause(LONG_MS);
  demand.raise({ epoch: 7, seq: 6 });
  await next;
});

it('does not end a pause when it says nothing new: what was told of is being brought', async () => {
  const demand = new Demand();
  demand.raise({ epoch: 7, seq: 5 });
  let isOver = false;
  const stopping = new AbortController();
  const paused = demand.pause(LONG_MS, stopping.signal).then(() => {
    isOver = true;
  });
  demand.raise({ epoch: 7, seq: 5 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isOver).toBe(false);
  stopping.abort();
  await paused;
});

it('does not let who is stopped pause', async () => {
  await new Demand().pause(LONG_MS, AbortSignal.abort());
});
