/**
 * Some thousand commits against the expiry of their holds, over two engines: a million with
 * `npm run test:faults -- --races 1000000`. Goes on until each of the two has won, because when to ask
 * so that either may is learned in the first races.
 */
import { expect, it } from 'vitest';
import type { RaceCount } from './race-count.ts';
import { RACE_STACK, runRaces } from './races.ts';
import { startFaultStack } from './stack.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const SEED = process.env.HOLDFAST_TEST_SEED ?? String(Date.now() % 1_000_000);
const RACES = IS_LONG ? 30_000 : 2_000;
/** What is held in memory, and read at once, of a round. */
const ROUND_OF = 10_000;
const TRIES = 10;
const TEST_MS_MAX = 600_000;

it(
  `each has one winner, whom the client hears of (seed ${SEED})`,
  async () => {
    const stack = await startFaultStack({ ...RACE_STACK, log: 'embedded' });
    try {
      let count: RaceCount | undefined;
      for (let i = 0; i < TRIES && !haveBothWon(count); i++) {
        const seed = `${SEED}.${i}`;
        const of = { stack, seed, races: RACES, racers: 400, roundOf: ROUND_OF };
        const { violations, ...counts } = await runRaces({ ...of, onRound: () => undefined });
        expect(violations).toEqual([]);
        expect(counts.committed + counts.expired).toBe(RACES);
        count = counts;
      }
      expect(haveBothWon(count), `one always won: ${JSON.stringify(count)}`).toBe(true);
    } finally {
      await stack.close();
    }
  },
  TEST_MS_MAX,
);

function haveBothWon(count: RaceCount | undefined): boolean {
  return count !== undefined && count.committed > 0 && count.expired > 0;
}
