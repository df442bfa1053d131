/**
 * Admission against lanes of any speed, in a time of its own: whatever comes, nothing is sent late,
 * everything ends once, and a lane that is asked for more than it can do does what it can.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBatcher, PATIENCE } from './batcher.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const WAIT_MS = 50;
const WAIT_MS_MAX = WAIT_MS * PATIENCE;
const RUN_MS = 1_000;
/** The first batches tell how fast the lane is; until then the longer bound holds. */
const LEARNING_MS = 300;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Lane {
  readonly itemsMax: number;
  /** Of a batch on its way, there and back. */
  readonly wayMs: number;
  /** Of a full batch in Redis, where one runs at a time. */
  readonly batchMs: number;
}

interface Item {
  readonly at: number;
  readonly isPatient: boolean;
}

const fullBatchMs = ({ wayMs, batchMs }: Lane): number => Math.max(batchMs, (wayMs + batchMs) / 2);
/** Items a millisecond. */
const capacityOf = (lane: Lane): number => lane.itemsMax / fullBatchMs(lane);

/** `load`: times the lane's capacity. Every tenth item is patient. */
async function run(lane: Lane, load: number) {
  let at = 0;
  let redisFreeAt = 0;
  let queuedMax = 0;
  const sent: { readonly item: Item; readonly waitedMs: number }[] = [];
  const expired: Item[] = [];
  const refused: Item[] = [];
  const timers: { readonly dueAt: number; readonly flush: () => void }[] = [];
  const flying: { readonly landsAt: number; readonly land: () => void }[] = [];
  const send = (items: readonly Item[]): Promise<void> => {
    for (const item of items) sent.push({ item, waitedMs: at - item.at });
    const startsAt = Math.max(at + lane.wayMs / 2, redisFreeAt);
    redisFreeAt = startsAt + (lane.batchMs * items.length) / lane.itemsMax;
    const landsAt = redisFreeAt + lane.wayMs / 2;
    return new Promise((land) => flying.push({ landsAt, land }));
  };
  const batcher = createBatcher<Item>(
    { itemsMax: lane.itemsMax, weightMax: 10_000, waitMs: WAIT_MS },
    { send, hasRoom: () => false, expired: (items) => expired.push(...items) },
    () => at,
    (flush, ms) => timers.push({ dueAt: at + ms, flush }),
  );
  const perMs = capacityOf(lane) * load;
  let pushed = 0;
  for (; at < RUN_MS || flying.length > 0 || timers.length > 0; at++) {
    while (timers[0] !== undefined && timers[0].dueAt <= at) timers.shift()?.flush();
    while (flying[0] !== undefined && flying[0].landsAt <= at) {
      flying.shift()?.land();
      await turn();
    }
    for (; at < RUN_MS && pushed < at * perMs; pushed++) {
      const item = { at, isPatient: pushed % 10 === 0 };
      const manner = { isConfirmed: false, isPatient: item.isPatient };
      if (batcher.push(item, 1, manner) !== 'admitted') refused.push(item);
    }
    queuedMax = Math.max(queuedMax, batcher.queued);
    await turn();
  }
  return { sent, expired, refused, pushed, queuedMax, queued: batcher.queued };
}

const lanes = fc.record({
  itemsMax: fc.constantFrom(4, 16, 64),
  wayMs: fc.integer({ min: 0, max: 40 }),
  batchMs: fc.integer({ min: 1, max: 20 }),
});

it(`refuses in time, and no more than it must (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(lanes, fc.constantFrom(0.5, 0.9, 1.5, 3, 10), async (lane, load) => {
      const { sent, expired, refused, pushed, queuedMax, queued } = await run(lane, load);
      expect(queued).toBe(0);
      expect(sent.length + expired.length + refused.length).toBe(pushed);
      for (const { waitedMs } of sent) expect(waitedMs).toBeLessThanOrEqual(WAIT_MS_MAX);
      const late = sent.filter(
        ({ item, waitedMs }) =>
          !item.isPatient && item.at > LEARNING_MS && waitedMs > 1.5 * WAIT_MS + fullBatchMs(lane),
      );
      expect(late.length).toBeLessThanOrEqual(0.01 * sent.length);
      const room = Math.max(2 * lane.itemsMax, 3 * WAIT_MS * capacityOf(lane));
      expect(queuedMax).toBeLessThanOrEqual(room * Math.max(1, load));
      if (load < 1) expect(refused.length + expired.length).toBe(0);
      else expect(sent.length).toBeGreaterThan(0.9 * capacityOf(lane) * RUN_MS);
      if (load <= 3) expect(refused.filter(({ isPatient }) => isPatient)).toEqual([]);
    }),
    { seed: SEED, numRuns: 20 },
  );
});
