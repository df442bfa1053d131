/**
 * The most important faults, each once, and a soak of half a minute: what `npm run test:faults` does
 * twenty times each. A promise that is broken fails the test with what was broken.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomFrom } from '../../../bench/load/random.ts';
import { currentTestRun } from '../test-run.ts';
import { faultNamed } from './catalogue.ts';
import { Results } from './results.ts';
import { makeWhole, runFault } from './run-fault.ts';
import { soak } from './soak-loop.ts';
import { type FaultStack, startFaultStack } from './stack.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const SOAK_MS = IS_LONG ? 600_000 : 25_000;
const HOLD_MS = IS_LONG ? 15_000 : 3_000;
/** A failover on a machine that many share takes its time. */
const TEST_MS_MAX = SOAK_MS + 400_000;
const SEED = process.env.HOLDFAST_TEST_SEED ?? String(Date.now() % 1_000_000);

const FAULTS = IS_LONG
  ? ['primary_killed', 'primary_hung', 'cut_primary_engines', 'flushall', 'recovery_leader_paused']
  : ['primary_hung', 'cut_primary_engines'];

describe('over one stack', () => {
  let stack: FaultStack | undefined;

  beforeAll(async () => {
    stack = await startFaultStack({ log: 'embedded', isFlushed: true });
  }, TEST_MS_MAX);
  afterAll(() => stack?.close(), TEST_MS_MAX);

  it.each(FAULTS)(
    `%s breaks no promise (seed ${SEED})`,
    async (name) => {
      if (stack === undefined) throw new Error('the stack did not start');
      const run = FAULTS.indexOf(name);
      const { record } = await runFault({
        fault: faultNamed(name),
        stack,
        run,
        seed: SEED,
        holdMs: HOLD_MS,
        shoppersPerSide: 4,
      });
      expect(record.violations, record.notes.join('\n')).toEqual([]);
      expect(record.oversold).toBe(0);
      expect(record.recoveries.length, 'nobody recovered').toBeGreaterThan(0);
      await makeWhole(stack);
    },
    TEST_MS_MAX,
  );
});

it(
  `a soak breaks no promise (seed ${SEED})`,
  async () => {
    const { runs, broken } = await soak({
      untilMs: performance.now() + SOAK_MS,
      seed: SEED,
      random: randomFrom(`${SEED}/soak`),
      log: 'kafka',
      holdMs: HOLD_MS,
      results: new Results(join(currentTestRun().directory, 'soak.jsonl')),
    });
    expect(broken).toBe(0);
    expect(runs).toBeGreaterThan(0);
  },
  TEST_MS_MAX,
);
