/** Every order of the steps, in the smallest worlds; and planted bugs that show there already. */
import { describe, expect, it } from 'vitest';
import type { RuleName } from './rule-names.ts';
import { makeRules } from './rules.ts';
import { type Bounds, SMALLEST_BOUNDS, search } from './search.ts';
import { showTrace } from './shrink.ts';

const isLong = process.env.HOLDFAST_TEST_LONG === '1';
const STATES_MAX = isLong ? 250_000 : 2_000;

const SMALLEST: Bounds = { ...SMALLEST_BOUNDS, form: 'kafka', statesMax: STATES_MAX };

const PLANTED: readonly [RuleName, Partial<Bounds>][] = [['registry_first', {}]];

describe('the exhaustive search', () => {
  for (const form of ['kafka', 'embedded'] as const) {
    it(`finds nothing in up to ${STATES_MAX} states, ${form}`, {
      timeout: isLong ? 900_000 : 60_000,
    }, async () => {
      const found = await search({ ...SMALLEST, form }, makeRules());
      expect(`${found.wrong ?? ''}\n${showTrace(found.trace)}`).toBe('\n');
      expect(found.states).toBeGreaterThan(1_000);
    });
  }

  for (const [rule, bounds] of PLANTED) {
    it(`finds ${rule}`, { timeout: 60_000 }, async () => {
      const found = await search({ ...SMALLEST, ...bounds, statesMax: 30_000 }, makeRules([rule]));
      expect(found.wrong).toBeDefined();
      expect(found.trace.length).toBeGreaterThan(0);
    });
  }
});
