import { describe, expect, it } from 'vitest';
import { type Comparison, compareReports } from './compare.ts';
import { settingsIn } from './environment.ts';
import { renderComparison, renderComparisonHtml } from './report/comparison.ts';
import { parseReport, ReportError } from './report/read.ts';
import { sampleLoad, samplePhase, sampleReport, sampleScenario } from './report/sample.ts';
import type { BenchReport, ScenarioResult } from './run.ts';
import type { Phase } from './scenario.ts';

const TOLERANCE = 0.2;

function withPhase(over: Partial<Phase>): BenchReport {
  return sampleReport({ scenarios: [sampleScenario({ phases: [samplePhase(over)] })] });
}

function withFact(value: number, better?: 'lower' | 'higher'): BenchReport {
  const fact = { what: 'a fact', value, unit: 'x', ...(better !== undefined && { better }) };
  return sampleReport({ scenarios: [sampleScenario({ phases: [], facts: [fact] })] });
}

function changeOf(comparison: Comparison, part: string): string | undefined {
  return comparison.rows.find(({ what }) => what.includes(part))?.change;
}

describe('comparing two runs', () => {
  it('finds nothing between a run and itself', () => {
    const same = compareReports(sampleReport(), sampleReport(), TOLERANCE);
    expect(same).toMatchObject({ worse: 0, better: 0, unlike: [], warnings: [], gone: [] });
    expect(same.rows.length).toBeGreaterThan(10);
    expect(same.rows.every(({ ratio }) => ratio === 1)).toBe(true);
  });

  it.each([
    ['lower', 100, 119, 'same'],
    ['lower', 100, 121, 'worse'],
    ['lower', 100, 84, 'same'],
    ['lower', 100, 83, 'better'],
    ['higher', 100, 84, 'same'],
    ['higher', 100, 83, 'worse'],
    ['higher', 100, 121, 'better'],
    ['higher', 0, 5, 'shown'],
    ['higher', 5, 0, 'worse'],
    [undefined, 1, 100, 'shown'],
  ] as const)('%s is better: %d, then %d is %s', (better, before, after, change) => {
    const found = compareReports(withFact(before, better), withFact(after, better), TOLERANCE);
    expect(changeOf(found, 'a fact')).toBe(change);
  });

  it('shows how fast a core was, and judges nothing by it', () => {
    const onCore = (core: ScenarioResult['core'] & object) =>
      sampleReport({ scenarios: [sampleScenario({ core })] });
    const found = compareReports(
      onCore({ multiply_ns: 1, load_8mb_ns: 45, load_64mb_ns: 172 }),
      onCore({ multiply_ns: 9, load_8mb_ns: 900, load_64mb_ns: 1_000 }),
      TOLERANCE,
    );
    expect(found.rows.find(({ what }) => what.includes('64 MB'))?.after).toBe(1_000);
    expect(changeOf(found, 'a core: a multiplication')).toBe('shown');
    expect(found.worse).toBe(0);
  });

  it('knows of a phase which way is progress', () => {
    const slower = { ...sampleLoad({ p99Ms: 80, maxMs: 900 }), answers: 30_000 };
    const found = compareReports(
      withPhase({}),
      withPhase({ load: slower, redisThreadUs: 550_000 }),
      TOLERANCE,
    );
    expect(changeOf(found, 'answers')).toBe('worse');
    expect(changeOf(found, 'p50')).toBe('same');
    expect(changeOf(found, 'p99')).toBe('worse');
    expect(changeOf(found, 'max')).toBe('shown');
    // The same CPU for half of the answers.
    expect(changeOf(found, 'CPU of engine')).toBe('worse');
    expect(changeOf(found, "CPU of Redis' thread")).toBe('worse');
    expect(found.rows.some(({ what }) => what.includes('load'))).toBe(false);
  });

  it('does not judge what an open loop was asked for', () => {
    const half = { ...sampleLoad(), answers: 30_000 };
    const found = compareReports(
      withPhase({ rate: 10_000 }),
      withPhase({ rate: 5_000, load: half }),
      TOLERANCE,
    );
    expect(changeOf(found, 'answers')).toBe('shown');
  });

  it('judges nothing of too few samples in either run', () => {
    const few = { ...sampleLoad({ count: 900, p99Ms: 88 }), answers: 900 };
    const dear = [{ name: 'recovery' as const, cpuUs: 900_000, rssBytes: 1 }];
    const found = compareReports(
      withPhase({}),
      withPhase({ load: few, processes: dear }),
      TOLERANCE,
    );
    expect(changeOf(found, 'p99')).toBe('shown');
    expect(changeOf(found, 'CPU of recovery')).toBe('shown');
  });

  it('names what is in one of them alone', () => {
    const found = compareReports(withFact(1), sampleReport(), TOLERANCE);
    expect(found.gone).toEqual(['hot-sku: a fact']);
    expect(found.added).toContain('hot-sku: persister alone');
    expect(found.rows).toEqual([]);
  });

  it('takes what is not measured any more for worse, where it was judged', () => {
    const never = withFact(Number.POSITIVE_INFINITY, 'lower');
    // As JSON has it: null.
    const read = parseReport('run.json', JSON.stringify(never));
    for (const after of [never, read, withPhase({})]) {
      const found = compareReports(withFact(40, 'lower'), after, TOLERANCE);
      expect(found).toMatchObject({ worse: 1, lost: ['hot-sku: a fact'], gone: found.lost });
      expect(renderComparison(found, true)).toMatch(
        /WORSE, only before: hot-sku: a fact\n.*1 worse, 0 better, of 1 that/s,
      );
    }
    const unjudged = compareReports(withFact(40), never, TOLERANCE);
    expect(unjudged).toMatchObject({ worse: 0, lost: [], gone: ['hot-sku: a fact'] });
    const notRun = compareReports(
      withFact(40, 'lower'),
      sampleReport({ scenarios: [] }),
      TOLERANCE,
    );
    expect(notRun).toMatchObject({ worse: 0, lost: [], gone: ['hot-sku: a fact'] });
  });

  it('finds each number of a scenario that broke off worse, and its audit failed', () => {
    const broken = sampleScenario({ phases: [], facts: [], audit: { ok: false, words: ['no'] } });
    const after = sampleReport({ scenarios: [broken] });
    const found = compareReports(sampleReport(), after, TOLERANCE);
    const judged = compareReports(sampleReport(), sampleReport(), TOLERANCE).rows.filter(
      ({ change }) => change !== 'shown',
    );
    expect(found.worse).toBe(judged.length);
    expect(found.failed).toEqual(['hot-sku']);
    expect(compareReports(after, sampleReport(), TOLERANCE)).toMatchObject({
      worse: 0,
      failed: [],
    });
  });

  it('says why two runs are not alike, and what makes them rough', () => {
    const failed = sampleScenario({ audit: { ok: false, words: [] } });
    const other = sampleReport({ quick: true, scenarios: [failed] });
    const environment = {
      ...other.environment,
      cores: 8,
      node: 'v22.1.0',
      is_quiet: false,
      load_average: 5,
      settings: 'HOLDFAST_BATCH_OPERATIONS=64',
      // Neither of these matters.
      commit: 'fff',
      fsync_ms: { p50: 9, p99: 9 },
    };
    const found = compareReports(sampleReport(), { ...other, environment }, TOLERANCE);
    expect(found.unlike).toEqual([
      'cores: 2, then 8',
      'settings: none, then HOLDFAST_BATCH_OPERATIONS=64',
      'node: v20, then v22',
      'quick: false, then true',
    ]);
    expect(found.warnings.join()).toMatch(/the second run.*not quiet \(load 5\).*failed its audit/);
  });

  it('is told as text and as a page', () => {
    const found = compareReports(withFact(100, 'lower'), withFact(200, 'lower'), TOLERANCE);
    const text = renderComparison(found, false);
    expect(text).toMatch(/hot-sku: a fact.*100.*200.*2\.00.*WORSE/);
    expect(text).toContain('1 worse, 0 better, of 1 that are judged');
    expect(renderComparisonHtml(found)).toContain('<td class="bad">WORSE</td>');
    const same = compareReports(withFact(1, 'lower'), withFact(1, 'lower'), TOLERANCE);
    expect(renderComparison(same, true)).not.toContain('a fact');
  });
});

describe('the settings of the shell', () => {
  it('are what engines would have of it', () => {
    const others = { PATH: '/', HOLDFAST_TEST_RUN: '/tmp', HOLDFAST_REDIS_SERVER: '/redis' };
    expect(settingsIn(others)).toBe('none');
    const settings = { HOLDFAST_SWEEP_MS: '50', HOLDFAST_BATCH_LINES: '8' };
    expect(settingsIn({ ...others, ...settings })).toBe(
      'HOLDFAST_BATCH_LINES=8 HOLDFAST_SWEEP_MS=50',
    );
  });
});

describe('a report that was written', () => {
  const write = (report: unknown): string => JSON.stringify(report);

  it('is read as it was, but for numbers that were not told', () => {
    const read = parseReport('run.json', write(sampleReport()));
    const found = compareReports(sampleReport(), read, TOLERANCE);
    expect(found).toMatchObject({ worse: 0, better: 0, gone: [], added: [] });
    const [recovery] = read.scenarios[0]?.phases[0]?.processes.slice(2) ?? [];
    expect(recovery).toEqual({ name: 'recovery', cpuUs: 10_000, rssBytes: Number.NaN });
  });

  it.each([
    ['no JSON', 'hello', 'run.json is no JSON'],
    ['another format', write({ ...sampleReport(), format: 'holdfast-bench/0' }), 'format'],
    ['a hole', write({ ...sampleReport(), scenarios: [{ name: 'x' }] }), 'scenarios.0.audit'],
    ['an array', '[]', 'is no report of this bench'],
  ])('is refused with a reason when it has %s', (_, text, reason) => {
    expect(() => parseReport('run.json', text)).toThrow(ReportError);
    expect(() => parseReport('run.json', text)).toThrow(reason);
  });
});
