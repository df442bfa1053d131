/** A run, in small, with all that it writes. What it measures means nothing here. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { laneKeys } from '../engine/redis/keys.ts';
import { currentTestRun, serverDirectory } from '../engine/testing/test-run.ts';
import { atMost } from './budgets.ts';
import { compareReports } from './compare.ts';
import { generateLoad } from './measure/load.ts';
import { requireStatus } from './phase.ts';
import { parseReport } from './report/read.ts';
import { writeReport } from './report/write.ts';
import { renderReport } from './report.ts';
import { type BenchReport, InterruptedError, type RunProgress, runBench } from './run.ts';
import type { Bench, Scenario, ScenarioReport, WorldOptions } from './scenario.ts';

const TIMEOUT_MS = 300_000;
const UNITS = 1_000_000;
const SKU = 'TINY';
const CONNECTIONS = 4;
const SECONDS = 0.3;
const RATE = 200;

function scenario(name: string, run: (bench: Bench) => Promise<ScenarioReport>): Scenario {
  return { name, about: 'a scenario of the test', runs: 'always', fullSeconds: 1, run };
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

/** Where an earlier report has left its own. */
async function plotsLeft(directory: string): Promise<string> {
  const plots = join(directory, 'all', 'plots');
  await mkdir(plots, { recursive: true });
  return plots;
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
    await writeFile(join(await plotsLeft(directory), 'stale.svg'), '');
    await writeReport(report, { report: at('all') });
    const again = parseReport('all', await readFile(at('all/report.json'), 'utf8'));
    expect(again).toEqual(read);
    expect(await readFile(at('all/report.html'), 'utf8')).toBe(
      await readFile(at('run.html'), 'utf8'),
    );
    expect(await readdir(at('all/plots'))).toEqual(await readdir(at('plots')));
    const text = renderReport(report);
    expect(text).toMatch(/^Conditions\n/);
    expect(text).toMatch(/seed seven; quick/);
    expect(text).toMatch(/^tiny \(.* a load from 8 MB [\d.]+ ns/m);
    expect(text).toContain('Audit passed');
  });

  it('leaves out what there is no time for, and says so', { timeout: TIMEOUT_MS }, async () => {
    const ran: string[] = [];
    const instant = (name: string): Scenario =>
      scenario(name, async () => {
        ran.push(name);
        const nothing = { phases: [], facts: [], series: [], budgets: [] };
        return { name, ...nothing, audit: { ok: true, words: [] } };
      });
    const told: RunProgress[] = [];
    const report = await runBench({
      ...{ scenarios: [instant('one'), instant('two')], quick: true, seed: 'seven' },
      parent: serverDirectory(currentTestRun(), 'bench'),
      secondsMax: 0,
      onProgress: (progress) => void told.push(progress),
    });
    expect(ran).toEqual([]);
    expect(report).toMatchObject({ verdict: 'ok', leftOut: ['one', 'two'] });
    expect(told.at(-1)).toEqual({ kind: 'left out', scenario: 'two' });
  });

  it('lends one world to quick scenarios, and none to what follows a failure', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const seen: { name: string; url: string; before: number; shared: boolean }[] = [];
    const sells = (name: string, fails = false): Scenario =>
      scenario(name, async (bench) => {
        const world = await bench.open();
        const { shop, createdBefore: before } = world;
        const shared = (await world.redis.hexists(laneKeys(0).stock('LENT'), '')) === 1;
        seen.push({ name, url: shop.url, before, shared });
        if (!shared) await shop.receive({ LENT: 10 });
        await world.persister.stop();
        await shop.buy('LENT');
        if (fails) throw new Error('it came to nothing');
        const differences = await world.persister.start().then(() => shop.audit());
        const nothing = { phases: [], facts: [], series: [], budgets: [] };
        return { name, ...nothing, audit: { ok: differences.length === 0, words: [] } };
      });
    const { report } = await run(sells('first'), sells('second', true), sells('third'));
    expect(seen).toMatchObject([
      { name: 'first', before: 0, shared: false },
      { name: 'second', before: 1, shared: true },
      { name: 'third', before: 0, shared: false },
    ]);
    expect(seen[1]?.url).toBe(seen[0]?.url);
    expect(report.scenarios.map(({ audit }) => audit.ok)).toEqual([true, false, true]);
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
    const handedOn: BenchReport[] = [];
    const report = await runBench({
      ...{ scenarios: [broken, next, broken], quick: true, seed: 'seven' },
      parent: serverDirectory(currentTestRun(), 'bench'),
      onProgress: () => undefined,
      onFinished: async (soFar) => {
        handedOn.push(soFar);
        if (handedOn.length > 1) throw new Error('the disk is full');
      },
    });
    expect(handedOn.map(({ scenarios, leftOut }) => [scenarios.length, leftOut])).toEqual([
      [1, ['next', 'broken']],
      [2, ['broken']],
    ]);
    expect(report.verdict).toBe('audit_failed');
    expect(report.scenarios.map(({ audit }) => audit.ok)).toEqual([false, true, false]);
    expect(report.scenarios[0]?.audit.words.join()).toContain('it came to nothing');
  });

  it('reports what is finished when it is interrupted', { timeout: TIMEOUT_MS }, async () => {
    const parent = join(serverDirectory(currentTestRun(), 'bench'), 'interrupted');
    await mkdir(parent);
    const interruption = new AbortController();
    const refusals: Promise<unknown>[] = [];
    const endless = scenario('endless', async (bench) => {
      await bench.open();
      interruption.abort();
      // What it asks for behind the close is refused, so that nothing is started anew.
      await expect.poll(() => readdir(parent), { timeout: TIMEOUT_MS }).toEqual([]);
      const opening = bench.open();
      refusals.push(opening);
      await opening;
      throw new Error('bug: the bench was open');
    });
    const never = scenario('never', () => Promise.reject(new Error('bug: it was run')));
    const told: RunProgress[] = [];
    const report = await runBench({
      ...{ scenarios: [tiny, endless, never], quick: true, seed: 'seven', parent },
      signal: interruption.signal,
      onProgress: (progress) => void told.push(progress),
    });
    expect(report).toMatchObject({ verdict: 'interrupted', leftOut: ['endless', 'never'] });
    expect(report.scenarios.map(({ name, audit }) => [name, audit.ok])).toEqual([['tiny', true]]);
    expect(told.at(-1)).toEqual({ kind: 'working', scenario: 'endless', what: 'starts' });
    expect(renderReport(report)).toMatch(/tiny \(.*INTERRUPTED/s);
    const written = parseReport('run.json', JSON.stringify(report));
    expect(written.verdict).toBe('interrupted');
    // The servers are stopped behind the report, and their directory goes.
    await expect.poll(() => readdir(parent), { timeout: TIMEOUT_MS }).toEqual([]);
    await expect.poll(() => refusals.length, { timeout: TIMEOUT_MS }).toBe(1);
    await expect(refusals[0]).rejects.toThrow('the bench is closed');
  });

  it('says so when it is interrupted before it began', { timeout: TIMEOUT_MS }, async () => {
    const options = { scenarios: [tiny], quick: true, seed: 'seven', onProgress: () => undefined };
    const parent = serverDirectory(currentTestRun(), 'bench');
    const signal = AbortSignal.abort();
    await expect(runBench({ ...options, parent, signal })).rejects.toThrow(InterruptedError);
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
