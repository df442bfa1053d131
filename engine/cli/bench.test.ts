import { describe, expect, it } from 'vitest';
import { sampleScenario } from '../../bench/report/sample.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';
import { benchCommand, wordsOnLeftOut } from './bench.ts';
import { barOf, lineOf } from './bench-progress.ts';

describe('holdfast bench', () => {
  it('lists every scenario once, and says what it shows', () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain('compare');
    const written: string[] = [];
    const writeOut = (text: string): void => void written.push(text);
    benchCommand().configureOutput({ writeOut }).outputHelp();
    const help = written.join('');
    for (const { name, about } of SCENARIOS) {
      expect(help).toContain(`  ${name}`);
      expect(help).toContain(about);
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    }
  });

  it('says in a line what happens, where there is no terminal', () => {
    const result = sampleScenario();
    expect(lineOf({ kind: 'preparing', what: 'starting Redis' })).toBe('starting Redis ...');
    expect(lineOf({ kind: 'working', scenario: 'lane', what: 'round 1' })).toBe(
      'lane: round 1 ...',
    );
    expect(lineOf({ kind: 'done', scenario: 'hot-sku', result })).toBe(
      'hot-sku: 8.1 s, its audit passed',
    );
    const failed = sampleScenario({ audit: { ok: false, words: [] } });
    expect(lineOf({ kind: 'done', scenario: 'x', result: failed })).toContain('FAILED');
  });

  it('names what was left out, and how to run it', () => {
    const scenarios = [sampleScenario({ name: 'lane' })].map((each) => ({ ...each, took_s: 1 }));
    const wanted = SCENARIOS.filter(({ name }) => ['lane', 'carts', 'peers'].includes(name));
    const words = wordsOnLeftOut(wanted, {
      ...{ scenarios, leftOut: ['carts'] },
      ...{ quick: true, verdict: 'ok' },
    });
    expect(words).toContain('No time was left for carts: npm run bench -- carts --quick\n');
    expect(words).toContain('Run apart from these: npm run bench -- peers --quick\n');
    expect(wordsOnLeftOut(wanted.slice(0, 1), { scenarios, quick: false, verdict: 'ok' })).toBe('');
    const interrupted = {
      scenarios,
      leftOut: ['carts'],
      quick: false,
      verdict: 'interrupted',
    } as const;
    expect(wordsOnLeftOut(wanted, interrupted)).toContain(
      'The interruption left out carts: npm run bench -- carts\n',
    );
    expect(lineOf({ kind: 'left out', scenario: 'carts' })).toContain('carts: left out');
  });

  it('has a bar as long at its end as at its beginning', () => {
    const bars = [0, 1, 7, 15].map((done) => barOf(done, 15));
    expect(new Set(bars.map((bar) => bar.indexOf(']'))).size).toBe(1);
    expect(bars[0]).toBe(`[${'.'.repeat(24)}] 0 of 15`);
    expect(bars.at(-1)).toBe(`[${'#'.repeat(24)}] 15 of 15`);
  });
});
