/** With every rule in place nothing breaks, whatever the seed; the same seed gives the same run. */
import { describe, expect, it } from 'vitest';
import { type Broken, campaign, explain } from './campaign.ts';
import { KINDS, ONE_NODE_KINDS } from './fault-plans.ts';
import { makeRules } from './rules.ts';
import { scenarioOf } from './scenario.ts';
import { showTrace } from './shrink.ts';
import { simulate } from './simulate.ts';

const isLong = process.env.HOLDFAST_TEST_LONG === '1';
const SEEDS = isLong ? 6_000 : 90;
const FROM = Number(process.env.HOLDFAST_TEST_SEED ?? 1);

async function tell(broken: readonly Broken[]): Promise<string> {
  const [first] = broken;
  if (first === undefined) return '';
  const short = await explain(first, makeRules());
  const again = `npm run simulate -- --seed ${first.seed} --form ${first.scenario.config.form}`;
  return `seed ${first.seed}: ${first.wrong}\n${showTrace(short.trace)}\nagain: ${again}`;
}

describe('the protocol, simulated', () => {
  for (const form of ['kafka', 'embedded'] as const) {
    it(`breaks nothing in ${SEEDS} seeds from ${FROM}, ${form}`, {
      timeout: isLong ? 900_000 : 60_000,
    }, async () => {
      const seen = await campaign({ from: FROM, seeds: SEEDS, brokenMax: 1, form }, makeRules());
      expect(await tell(seen.broken)).toBe('');
      expect(seen.seeds).toBe(SEEDS);
      // A simulation in which nothing happens proves nothing.
      expect(seen.recovered).toBeGreaterThan(SEEDS / 3);
      expect(seen.acknowledged).toBeGreaterThan(SEEDS * 3);
    });
  }

  for (const kind of ONE_NODE_KINDS) {
    it(`loses nothing that is replicated, ${kind}`, { timeout: 60_000 }, async () => {
      const one = await campaign({ from: FROM, seeds: 30, brokenMax: 1, kind }, makeRules());
      expect(await tell(one.broken)).toBe('');
      const losses = one.losses.get(kind);
      expect(losses?.replicated.acked).toBeGreaterThan(0);
      expect(losses?.replicated.lost).toBe(0);
      expect(losses?.logged.lost).toBe(0);
    });
  }

  it('repeats a seed step by step', async () => {
    for (const kind of KINDS) {
      const scenario = scenarioOf(FROM, { kind });
      const [once, again] = [
        await simulate(scenario, makeRules()),
        await simulate(scenario, makeRules()),
      ];
      expect(again.trace).toEqual(once.trace);
      expect(again.world.facts).toEqual(once.world.facts);
    }
  });
});
