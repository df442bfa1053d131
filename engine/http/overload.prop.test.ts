/**
 * Many times what an engine can do, from many connections at once, in simulated time: it goes on
 * selling, whom it lets in it answers in time, and what is patient is not refused.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type BusyLoop, runBusyLoop } from './testing/busy-loop.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const WAIT_MS = 50;
/** No crowd: fewer than the door looks at. */
const PEAK_CONNECTIONS = 250;
const GOODPUT_MIN = 0.8;
/** Times the bound, for 99 of 100: an estimate is of the time before, and cores change. */
const WAITS_MAX = 2;
const PATIENCE = 10;
/**
 * A core changes each 100 ms: of 2 s a single bad stretch is 5 of 100 answers, and its own p99 (5 of 800
 * loops were beyond by up to 13 ms, 0 of 500 of 6 s).
 */
const SECONDS_OF_MANY_STRETCHES = 10;
const TEST_MS_MAX = 240_000;

/** Of an engine on shared cores; of a quiet one, of one that gets a sixth of its core at times. */
const STRETCHES: readonly BusyLoop['stretches'][] = [
  [1.2],
  [2],
  [1.3, 1.5, 2, 3, 4.5],
  [2, 2.5, 3, 4, 6],
];

const loops: fc.Arbitrary<BusyLoop> = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 30 }),
  connections: fc.integer({ min: 600, max: 4_000 }),
  seconds: fc.constant(2),
  waitMsMax: fc.constant(WAIT_MS),
  readUs: fc.integer({ min: 10, max: 18 }),
  answerUs: fc.integer({ min: 8, max: 14 }),
  headUs: fc.constant(5),
  refuseUs: fc.constant(8),
  clientUs: fc.integer({ min: 5, max: 20 }),
  stretches: fc.constantFrom(...STRETCHES),
  stallMs: fc.integer({ min: 0, max: 24 }),
  laneUs: fc.integer({ min: 2, max: 10 }),
  isPairs: fc.constant(false),
});

const ofHundred = (sorted: readonly number[], hundredth: number): number =>
  sorted[Math.floor((sorted.length * hundredth) / 100)] ?? 0;

it(`sells as much as at its peak, nearly, and in time (seed ${SEED})`, {
  timeout: TEST_MS_MAX,
}, async () => {
  await fc.assert(
    fc.asyncProperty(loops, async (each) => {
      const loop = { ...each, seconds: SECONDS_OF_MANY_STRETCHES };
      const peak = await runBusyLoop({ ...loop, connections: PEAK_CONNECTIONS });
      expect(peak.refusedPerS).toBe(0);
      const { acceptedPerS, waitsMs } = await runBusyLoop(loop);
      expect(acceptedPerS).toBeGreaterThan(GOODPUT_MIN * peak.acceptedPerS);
      expect(ofHundred(waitsMs, 99)).toBeLessThan(WAITS_MAX * WAIT_MS + loop.stallMs);
    }),
    { seed: SEED, numRuns: 8, endOnFailure: true },
  );
});

it(`lets in whoever pays, and has an answer for each in its time (seed ${SEED})`, {
  timeout: TEST_MS_MAX,
}, async () => {
  // As many as ten times the bound is enough for, when they all pay at once.
  const connections = fc.integer({ min: 600, max: 1_500 });
  const pairs = fc
    .tuple(loops, connections)
    .map(([loop, count]): BusyLoop => ({ ...loop, connections: count, isPairs: true }));
  await fc.assert(
    fc.asyncProperty(pairs, async (loop) => {
      const { patientRefused, patientWaitsMs } = await runBusyLoop(loop);
      expect(patientRefused).toBe(0);
      expect(patientWaitsMs.length).toBeGreaterThan(0);
      expect(patientWaitsMs.at(-1)).toBeLessThan(PATIENCE * WAIT_MS);
    }),
    { seed: SEED, numRuns: 8, endOnFailure: true },
  );
});
