/**
 * Repairs that are interrupted, raced by a sale, or done by two at once; and the command, killed in
 * the middle of its repairs.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, generationOf, packId } from '../../engine/domain/reservation-id.ts';
import { encodeCell } from '../../engine/events/cell-codec.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import type { GaugeReading } from '../../engine/runtime/metrics.ts';
import { startTestEngine, type TestEngine } from '../../engine/testing/engine.ts';
import { SCRIPTS } from '../../lua/generated/scripts.ts';
import { registerGauges } from './metrics.ts';
import { type ReconcileDeps, type ReconcileOptions, reconcile } from './reconcile.ts';
import { type ReconcileReport, renderReport } from './report.ts';
import { run as runSchedule } from './schedule.ts';
import { type Planter, planter } from './testing/plant.ts';

const KEYS = laneKeys(0);
const SKUS = ['A-1', 'A-2', 'A-3', 'A-4'] as const;
/** Three processes, one after another, on a machine that does other things too. */
const TIMEOUT_MS = 180_000;
const ZERO_CELL = encodeCell({ available: 0, reserved: 0, allocated: 0, version: 1 });
const MAIN = resolve(import.meta.dirname, '../../dist/engine/main.js');

let engine: TestEngine;
let plant: Planter;
beforeAll(async () => {
  engine = await startTestEngine();
  plant = planter(engine);
  await engine.stock(Object.fromEntries(SKUS.map((sku) => [`${sku}@A`, 1_000])));
});
afterAll(() => engine.close());

function run(
  options: Partial<ReconcileOptions> = {},
  deps: Partial<ReconcileDeps> = {},
): Promise<ReconcileReport> {
  const { pool } = engine.serving.engine;
  return reconcile({ redis: engine.redis, pool, ...deps }, { apply: false, ...options });
}

async function reserve(sku: string, quantity: number): Promise<void> {
  await hold(sku, quantity);
}

async function hold(sku: string, quantity = 1): Promise<string> {
  const items = [{ sku_id: sku, quantity }];
  const { status, body } = await engine.call('POST', '/api/v1/inventory/reserve', { items });
  expect(status).toBe(201);
  return String(body.reservation_id);
}

/** What the engine says is there to be had. */
async function available(sku: string): Promise<number> {
  const result = await engine.serving.engine.lane.availability([sku as never]);
  return result.outcome === 'applied' ? (result.skus[0]?.cells[0]?.available ?? -1) : -1;
}

describe('repairs', () => {
  it('are done once, however often they are interrupted', async () => {
    for (const sku of SKUS) await plant.editCell(sku, { available: 7 });
    for (let died = 1; died <= SKUS.length; died += 1) {
      const crash = (point: string): void => {
        if (point === 'reconcile.after_repair') throw new Error('died');
      };
      await expect(run({ apply: true }, { crash })).rejects.toThrow('died');
      expect((await run()).difference_count).toBe(SKUS.length - died);
    }
    for (const sku of SKUS) expect(await available(sku)).toBe(1_000);
  });

  it('leave alone what was sold since it was seen, and see it anew', async () => {
    await plant.editCell('A-1', { available: 50 });
    const raced = beforeRepairs(engine.redis, () => reserve('A-1', 3), 2);
    const report = await run({ apply: true }, { redis: raced });
    expect(report).toMatchObject({ left: 0 });
    expect(report.repaired).toBeGreaterThan(0);
    expect(await available('A-1')).toBe(1_000 - 6);
    expect((await run()).difference_count).toBe(0);
  });

  it('are not done twice by two who see the same', async () => {
    await plant.editCell('A-2', { available: 30 });
    // PostgreSQL takes the wrong balance over: both stores are off the ledger.
    await reserve('A-2', 1);
    const reports = await Promise.all([run({ apply: true }), run({ apply: true })]);
    expect(reports.map(({ left }) => left)).toEqual([0, 0]);
    expect(await available('A-2')).toBe(1_000 - 1);
    const after = await run();
    expect(after.differences).toEqual([]);
  });

  it('look only at what they are told to', async () => {
    await plant.editCell('A-3', { available: 5 });
    await plant.editCell('A-4', { available: 5 });
    const only = await run({ skus: ['A-3'] });
    expect(only.differences.map(({ where }) => where)).toEqual(['cell A-3 A']);
    expect(only.compared.cells).toBe(1);
    // Nothing was written since: what Redis alone did is not seen by what PostgreSQL changed.
    const since = await run({ sinceMs: Date.now() + 60_000 });
    expect(since).toMatchObject({ difference_count: 0, compared: { cells: 0 } });
    expect(since.unseen).toEqual([expect.stringMatching(/Redis alone.*deleted in PostgreSQL/)]);
    await run({ apply: true });
  });

  it('cannot be when the lane is closed', async () => {
    const reopen = await engine.closeLane();
    try {
      await expect(run()).rejects.toThrow(/lane is closed|fenced/);
    } finally {
      await reopen();
    }
  });
});

describe('holdfast reconcile', () => {
  it(
    'plans, is killed in the middle, repairs the rest, and says what it compared',
    async () => {
      const left = async () => (await run()).difference_count;
      await plant.editCell('A-1', { available: 9 });
      await plant.editCell('A-2', { available: 9 });
      const html = join(tmpdir(), `holdfast-${randomBytes(6).toString('hex')}.html`);
      const plan = await holdfast(['--json', '--html', html]);
      expect(plan.code).toBe(1);
      expect(JSON.parse(plan.stdout)).toMatchObject({ by_cause: { manual_edit: 2 }, repaired: 0 });
      expect(readFileSync(html, 'utf8')).toContain('manual_edit');
      rmSync(html);

      const killed = await holdfast(['--apply'], { HOLDFAST_CRASH_AT: 'reconcile.after_repair' });
      expect(killed.signal).toBe('SIGKILL');
      expect(await left()).toBe(1);
      const done = await holdfast(['--apply']);
      expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('1 repaired, 0 left')]);
      const again = renderReport(await run({ apply: true }), String);
      expect(again).toMatch(/Lane 0: 4 cells, .* compared at .*\nNothing differs\./);

      const { rows } = await engine.serving.engine.pool.query<{ repaired: number }>(
        'SELECT repaired FROM reconciliations ORDER BY started_at',
      );
      expect(rows.map(({ repaired }) => repaired)).toEqual([0, 1]);
    },
    TIMEOUT_MS,
  );
});

describe('a schedule', () => {
  it('keeps each run, goes on after one that failed, and feeds the gauges', async () => {
    const stop = new AbortController();
    const read = new Map<string, () => GaugeReading | Promise<GaugeReading>>();
    const gauges = registerGauges((name, _help, _labels, value) => read.set(name, value));
    const { pool } = engine.serving.engine;
    await plant.editCell('A-3', { available: 4 });
    let reports = 0;
    let defined: Promise<void> | undefined;
    const deps = {
      // One of them nobody knows until a run has failed for it. (A lane that is closed by hand would
      // be opened by recovery, which runs in here too.)
      ...{ redis: engine.redis, pool, options: { apply: true, skus: ['A-3', 'LATER'] } },
      onFailure: () => {
        gauges.onFailure();
        defined ??= engine.stock({ 'LATER@A': 1 });
      },
      onReport: (report: ReconcileReport) => {
        gauges.onReport(report);
        reports += 1;
        if (reports === 2) stop.abort();
      },
    };
    const before = await pool.query('SELECT run FROM reconciliations');
    await runSchedule(deps, { everyMs: 1 }, stop.signal);
    await defined;
    const after = await pool.query('SELECT failure FROM reconciliations');
    expect(after.rows.length - before.rows.length).toBeGreaterThanOrEqual(3);
    expect(read.get('holdfast_reconcile_failures_total')?.()).toBeGreaterThan(0);
    expect(read.get('holdfast_reconcile_repairs_total')?.()).toBe(1);
    expect(read.get('holdfast_drift_left')?.()).toBe(0);
  });
});

describe('what cannot be decided', () => {
  it('is a key that is no hash: told by name, with its cells left alone', async () => {
    const key = KEYS.stock('A-3');
    const stray = KEYS.stock('STRAY');
    await engine.redis.rename(key, 'aside');
    await engine.redis.mset(key, 'x', stray, 'x');
    for (const options of [{ apply: false }, { apply: true }, { apply: true, sinceMs: 0 }]) {
      const report = await run(options);
      const wheres = report.differences.map(({ where }) => where).sort();
      expect(wheres).toEqual(
        [key, stray]
          .filter((each) => each === key || !('sinceMs' in options))
          .map((k) => `key ${k}`),
      );
      expect(report).toMatchObject({ repaired: 0, gone: 0, left: wheres.length });
    }
    expect(await engine.redis.mget(key, stray)).toEqual(['x', 'x']);
    await engine.redis.del(key, stray);
    await engine.redis.rename('aside', key);
    expect((await run()).difference_count).toBe(0);
  });

  it('is a name that no entry may have: still there after the repairs of something else', async () => {
    const bucket = KEYS.hold(generationOf(Date.now()), 1);
    await engine.redis.hset(bucket, 'no id', 'x');
    const astray = ['stray', '0:5', '99999:1', '1:9999999', '007:5', '20780:0915546'].map(
      (name) => `${KEYS.prefix}hold:${name}`,
    );
    for (const key of astray) await engine.redis.hset(key, '9 letters', 'x');
    // Under its whole id in the bucket of that id, where a script looks for a part of it.
    const id = packId(await hold('A-2'));
    const home = addressOf(id);
    await engine.redis.hset(KEYS.hold(home.generation, home.bucket), id, 'x');
    await engine.redis.hset(KEYS.stock('no sku'), '', '', 'no place', ZERO_CELL);
    await plant.editCell('A-1', { available: 9 });
    const report = await run({ apply: true });
    expect(report).toMatchObject({ repaired: 1, gone: 0, left: 10, difference_count: 11 });
    expect(renderReport(report, String)).toContain('1 repaired, 10 left.');
    const wheres = report.differences.map(({ where }) => where);
    expect(wheres).toEqual(expect.arrayContaining(astray.map((key) => `key ${key}`)));
    expect(wheres).toContain(`bucket ${home.generation}:${home.bucket}`);
    await engine.redis.hdel(bucket, 'no id');
    await engine.redis.hdel(KEYS.hold(home.generation, home.bucket), id);
    await engine.redis.del(KEYS.stock('no sku'), ...astray);
    expect((await run()).difference_count).toBe(0);
  });

  it('counts what went with the repair of something else', async () => {
    const id = await hold('A-1');
    await plant.dropDeadline(id);
    await plant.putRecord(id, Buffer.from('garbage'));
    const report = await run({ apply: true });
    const { repaired, left, gone, difference_count: all } = report;
    expect(repaired + left + gone).toBe(all);
    expect(left).toBe(0);
    expect((await run()).difference_count).toBe(0);
  });

  it('is told, left alone, and told again', async () => {
    // A receipt that the ledger lost: as well the balance may have been raised by hand.
    await plant.ledger(
      `DELETE FROM stock_movements WHERE sku_id = 'A-4' AND movement_type = 'receive'`,
    );
    for (const apply of [false, true, true]) {
      const report = await run({ apply });
      expect(report).toMatchObject({ left: 1, repaired: 0, by_cause: { ledger_mismatch: 1 } });
    }
    expect(await available('A-4')).toBe(1_000);
  });
});

describe('what it is told to do', () => {
  it('refuses a SKU that nobody knows, and a report that cannot be written', async () => {
    await expect(run({ skus: ['A-1', 'NOPE'] })).rejects.toThrow(/knows NOPE: check/);
    const unknown = await holdfast(['--sku', 'NOPE']);
    expect([unknown.code, unknown.stdout]).toEqual([2, '']);
    const unwritable = await holdfast(['--html', join(tmpdir(), 'no', 'such', 'x.html')]);
    expect([unwritable.code, unwritable.stdout]).toEqual([2, '']);
  });
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
}

function holdfast(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'reconcile', ...args], {
    env: { ...process.env, ...engine.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString();
  });
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => done({ code, signal, stdout }));
  });
}

/** The same connection; `act` comes before each of the first repairs. */
function beforeRepairs(redis: Redis, act: () => Promise<void>, times: number): Redis {
  const repair = createHash('sha1').update(SCRIPTS.repair.source).digest('hex');
  let left = times;
  return new Proxy(redis, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (property === 'callBuffer' && args[1] === repair && left > 0) {
          left -= 1;
          await act();
        }
        return Reflect.apply(value, target, args);
      };
    },
  });
}
