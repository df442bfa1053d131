/** A run, in small, with all that it writes. What it measures means nothing here. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../engine/testing/test-run.ts';
import { atMost } from './budgets.ts';
import { compareReports } from './compare.ts';
import { generateLoad } from './measure/load.ts';
import { requireStatus } from './phase.ts';
import { parseReport } from './report/read.ts';
import { writeReport } from './report/write.ts';
import { renderReport } from './report.ts';
import { type BenchReport, type RunProgress, runBench } from './run.ts';
import type { Bench, Scenario, ScenarioReport, WorldOptions } from './scenario.ts';

const TIMEOUT_MS = 300_000;
const UNITS = 1_000_000;
const SKU = 'TINY';
const CONNECTIONS = 4;
const SECONDS = 0.3;
const RATE = 200;

function scenario(name: string, run: (bench: Bench) => Promise<ScenarioReport>): Scenario {
  return { name, about: 'a scenario of the test', runs: 'always', run };
}

/** Sells, and looks for every unit. */
async function sell(bench: Bench, options: WorldOptions, name: string): Promise<ScenarioReport> {
  const { shop, measure } = await bench.open(options);
  await shop.receive({ [SKU]: UNITS });
  bench.onProgress('sells');
  const plan = { ...shop.reservePlan(SKU, CONNECTIONS, SECONDS), rate: RATE };
  const phase = await measure('reserves', () => generateLoad(plan), { rate: RATE });
  requireStatus(phase, 201);
  await shop.whenPersisted();
  const { reserved } = await shop.balances(SKU);
  const differences = await shop.audit();
  // The world is left open: whoever runs the scenario closes it.
  return {
    name,
    phases: [phase],
    facts: [{ what: 'reserved', value: reserved, unit: '' }],
    series: [],
    budgets: [atMost('units that are missing', phase.load.answers - reserved, 0, 'x')],
    audit: {
      ok: reserved === phase.load.answers && differences.length === 0,
      words: [`${reserved} units are reserved`],
    },
  };
}

const tiny = scenario('tiny', (bench) => sell(bench, {}, 'tiny'));

async function run(
  ...scenarios: Scenario[]
): Promise<{ report: BenchReport; told: RunProgress[] }> {
  const told: RunProgress[] = [];
  const report = await runBench({
    ...{ scenarios, quick: true, seed: 'seven' },
    parent: serverDirectory(currentTestRun(), 'bench'),
    onProgress: (progress) => void told.push(progress),
  });
  return { report, told };
}

describe('a run', () => {
  it('measures, audits, and writes what it found', { timeout: TIMEOUT_MS }, async () => {
    const { report, told } = await run(tiny);
    expect(report).toMatchObject({ verdict: 'ok', seed: 'seven', quick: true });
    const [phase] = report.scenarios[0]?.phases ?? [];
    expect(phase?.outcomes).toMatchObject({ 'reserve created': phase?.load.answers });
    expect(phase?.batches.sum).toBe(phase?.load.answers);
    expect(told.map(({ kind }) => kind)).toContain('preparing');
    expect(told.at(-1)).toMatchObject({ kind: 'done', scenario: 'tiny' });
    expect(told).toContainEqual({ kind: 'working', scenario: 'tiny', what: 'sells' });
    const directory = serverDirectory(currentTestRun(), 'written');
    const at = (name: string): string => join(directory, name);
    await writeReport(report, { json: at('run.json'), html: at('run.html'), svg: at('plots') });
    const read = parseReport('run.json', await readFile(at('run.json'), 'utf8'));
    expect(compareReports(report, read, 0)).toMatchObject({ worse: 0, gone: [], added: [] });
    expect(await readFile(at('run.html'), 'utf8')).toContain('Every audit passed');
    expect(await readFile(at('plots/tiny-latency.svg'), 'utf8')).toMatch(/^<svg /);
    const text = renderReport(report);
    expect(text).toMatch(/^Conditions\n/);
    expect(text).toMatch(/seed seven; quick/);
    expect(text).toContain('Audit passed');
  });

  it('goes on after a scenario that broke off, and fails', { timeout: TIMEOUT_MS }, async () => {
    const broken = scenario('broken', async (bench) => {
      const { redis } = await bench.openStores();
      await redis.set('left', 'behind');
      throw new Error('it came to nothing');
    });
    const next = scenario('next', async (bench) => {
      const { redis, pool } = await bench.openStores();
      const { rows } = await pool.query('SELECT * FROM products');
      const isEmpty = (await redis.dbsize()) === 0 && rows.length === 0;
      const nothing = { phases: [], facts: [], series: [], budgets: [] };
      return { name: 'next', ...nothing, audit: { ok: isEmpty, words: ['nothing is left'] } };
    });
    const { report } = await run(broken, next);
    expect(report.verdict).toBe('audit_failed');
    expect(report.scenarios.map(({ audit }) => audit.ok)).toEqual([false, true]);
    expect(report.scenarios[0]?.audit.words.join()).toContain('it came to nothing');
  });

  it('sells through Kafka, from several processes on one port', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const options = { log: 'kafka', workers: 2 } as const;
    const { report } = await run(scenario('kafka', (bench) => sell(bench, options, 'kafka')));
    expect(report.scenarios[0]?.audit).toMatchObject({ ok: true });
    const [phase] = report.scenarios[0]?.phases ?? [];
    expect(phase?.processes.map(({ name }) => name).sort()).toEqual(
      ['engine', 'kafka', 'load', 'persister', 'postgres', 'recovery', 'redis', 'relay'].sort(),
    );
    expect(phase?.outcomes).toMatchObject({ 'reserve created': phase?.load.answers });
  });
});
