/**
 * Every order of the steps, in configurations that come to an end; and the planted bugs that show
 * there. The smaller configurations in the short run, all of them in the long one.
 */
import { describe, expect, it } from 'vitest';
import { RULE_NAMES, type RuleName } from './rule-names.ts';
import { makeRules } from './rules.ts';
import { search } from './search.ts';
import { type Configuration, worldOf } from './search-configuration.ts';
import { CONFIGURATIONS } from './search-configurations.ts';
import { MOVERS } from './search-moves.ts';
import { configurationsFor, runSearch } from './search-run.ts';
import { showTrace } from './shrink.ts';

const isLong = process.env.HOLDFAST_TEST_LONG === '1';
/** What one core searches in a second or so. */
const SHORT: ReadonlySet<string> = new Set([
  'twice',
  'half-done',
  'persisters',
  'relay-dies',
  'replicated',
  'in-sync',
  'zombie-no',
  'standby',
]);
/** Found late: after some 8,000 worlds. */
const LONG_PLANTED: ReadonlySet<RuleName> = new Set(['newest_term']);
const TIMEOUT = isLong ? 900_000 : 240_000;

const searched = CONFIGURATIONS.filter(({ name }) => isLong || SHORT.has(name));

describe('the exhaustive search', () => {
  for (const configuration of searched) {
    it(`comes to an end: ${configuration.name}`, { timeout: TIMEOUT }, async () => {
      const found = await search(configuration, makeRules());
      expect(`${found.wrong ?? ''}\n${showTrace(found.trace)}`).toBe('\n');
      expect(found.complete).toBe(true);
      expect(found.states).toBeGreaterThan(50);
    });
  }

  for (const configuration of CONFIGURATIONS) {
    for (const rule of configuration.finds) {
      if (!isLong && LONG_PLANTED.has(rule)) continue;
      it(`finds ${rule}: ${configuration.name}`, { timeout: TIMEOUT }, async () => {
        const found = await search(configuration, makeRules([rule]));
        expect(found.wrong).toBeDefined();
        expect(found.trace.length).toBeGreaterThan(0);
      });
    }
  }

  it('is said to be bounded where it is', async () => {
    const found = await search(configurationNamed('stale-replica'), makeRules(), 20);
    expect(found).toMatchObject({ complete: false, wrong: undefined });
  });

  it('reports what it ran, and fails on what it found', async () => {
    const lines: string[] = [];
    const say = (text: string): void => void lines.push(text);
    const one = [configurationNamed('replicated')];
    expect(await runSearch([], say, one)).toBe(0);
    expect(lines[0]).toMatch(/^replicated: complete: \d+ worlds to depth \d+, nothing broke \(/);
    expect(await runSearch(['wait_replay'], say)).toBe(1);
    expect(lines.join('\n')).toMatch(/after \d+ worlds .*shown as replicated, is lost/);
  });

  it('knows which configurations to ask about a rule', () => {
    expect(configurationsFor(['wait_replay'])).toEqual([configurationNamed('replicated')]);
    expect(configurationsFor([])).toEqual(CONFIGURATIONS);
    const found = new Set(CONFIGURATIONS.flatMap(({ finds }) => finds));
    expect(RULE_NAMES.filter((rule) => found.has(rule)).length).toBeGreaterThan(30);
  });

  it('has no mover that is free and prompt', () => {
    for (const configuration of CONFIGURATIONS) {
      expect(configuration.prompt.filter((mover) => configuration.free.includes(mover))).toEqual(
        [],
      );
      for (const mover of [...configuration.free, ...configuration.prompt]) {
        expect(() => [
          ...MOVERS[mover](worldOf(configuration), configuration.limits, worldOf(configuration)),
        ]).not.toThrow();
      }
    }
  });
});

function configurationNamed(wanted: string): Configuration {
  const found = CONFIGURATIONS.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`no configuration ${wanted}`);
  return found;
}
