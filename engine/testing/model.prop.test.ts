/**
 * Random stories of a small shop, over HTTP and two engines, against an independent model
 * (model/shop.ts): reserves of every kind, settlements whole and in part, retries, duplicates and
 * races, time that passes, Redis restarted, with a lost tail, emptied. After each step the balances
 * must be the model's; at the end the log, folded by the auditor, must say the same, and the audit
 * of all stores must find nothing. What fails is shrunk to the shortest story.
 *
 * HOLDFAST_TEST_LONG=1 tells more and longer stories; HOLDFAST_TEST_SEED=n tells those of a seed.
 */
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { type City, startCity } from './model/city.ts';
import { Run } from './model/run.ts';
import { steps } from './model/steps.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const RUNS = IS_LONG ? 150 : 12;
const STEPS_MAX = IS_LONG ? 150 : 60;
const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Finding a failure takes seconds, shrinking it minutes: then the shortest story so far is told. */
const TIME_MS_MAX = IS_LONG ? 3_000_000 : 240_000;

let city: City | undefined;
let runs = 0;
/** Shrinking may end at another failure than it began with: both are told. */
let first: string | undefined;
afterAll(() => city?.close());

it(`an engine does what the model says (seed ${SEED})`, {
  timeout: TIME_MS_MAX + 60_000,
}, async () => {
  const property = fc.asyncProperty(steps(STEPS_MAX), async (story) => {
    city ??= await startCity();
    runs += 1;
    const run = await Run.open(city, `r${runs}.`);
    try {
      await fc.asyncModelRun(() => ({ model: {}, real: run }), story);
      await run.close();
    } catch (error) {
      await leave(city);
      const reason = error instanceof Error ? error.message : String(error);
      const story = `the story:\n${run.story.join('\n')}\n${reason}`;
      first ??= story;
      throw new Error(story, { cause: error });
    }
  });
  const limits = { numRuns: RUNS, seed: SEED, interruptAfterTimeLimit: TIME_MS_MAX };
  await fc.assert(property, limits).catch((error: unknown) => {
    throw new Error(`It failed first with ${first ?? 'nothing'}\n\n${String(error)}`, {
      cause: error,
    });
  });
  expect(runs).toBeGreaterThan(0);
});

/** A city with something wrong in its stores would fail every later story, too. */
async function leave(left: City): Promise<void> {
  const isWell = await left
    .whenPersisted()
    .then(() => left.audit())
    .then(({ ok }) => ok && left.fold.violations.length === 0)
    .catch(() => false);
  if (isWell) return;
  city = undefined;
  await left.close();
}
