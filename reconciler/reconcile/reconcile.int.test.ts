/**
 * Every cause, planted while a sale goes on: named by its cause, repaired, gone, and afterwards the
 * audit, which shares nothing with reconcile, finds no difference either.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeHold } from '../../engine/events/hold-codec.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { startTestEngine, type TestEngine } from '../../engine/testing/engine.ts';
import { until } from '../../engine/testing/until.ts';
import { runAudit } from '../audit/audit.ts';
import { encodeReference } from './due-element.ts';
import { type ReconcileOptions, reconcile } from './reconcile.ts';
import type { ReconcileReport } from './report.ts';
import { type Planter, planter } from './testing/plant.ts';
import { startTraffic } from './testing/traffic.ts';

const KEYS = laneKeys(0);
const HOT = 'HOT';
const TTL_S = 3_000;
/** Five runs over twenty repairs, beside a sale, on a machine that does other things too. */
const TIMEOUT_MS = 240_000;

let engine: TestEngine;
let plant: Planter;
beforeAll(async () => {
  engine = await startTestEngine();
  plant = planter(engine);
});
afterAll(() => engine.close());

const run = (options: Partial<ReconcileOptions> = {}): Promise<ReconcileReport> => {
  const { pool } = engine.serving.engine;
  return reconcile({ redis: engine.redis, pool }, { apply: false, ...options });
};

/** `where: cause` of each difference. */
function named(report: ReconcileReport): string[] {
  return report.differences.map(({ where, cause }) => `${where}: ${cause}`).sort();
}

async function hold(sku: string, quantity = 2, ttlS = TTL_S): Promise<string> {
  const body = { items: [{ sku_id: sku, quantity }], ttl_seconds: ttlS };
  const { status, body: answer } = await engine.call('POST', '/api/v1/inventory/reserve', body);
  expect(status, JSON.stringify(answer)).toBe(201);
  return String(answer.reservation_id);
}

async function settle(verb: string, reservation_id: string): Promise<void> {
  const answer = await engine.call('POST', `/api/v1/inventory/${verb}`, { reservation_id });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
}

/** PostgreSQL has all that Redis had when this was called. */
async function persisted(): Promise<void> {
  const [epoch, seq] = await engine.redis.hmget(KEYS.meta, 'epoch', 'seq');
  const { pool } = engine.serving.engine;
  await until('PostgreSQL has it', async () => {
    const { rows } = await pool.query<{ is: boolean }>(
      'SELECT (epoch, seq) >= ($1::bigint, $2::bigint) AS is FROM positions WHERE lane = 0',
      [epoch, seq],
    );
    return rows[0]?.is === true;
  });
}

interface Planted {
  /** SKU of its own, with 100 units. */
  readonly sku: string;
  readonly cause: string;
  /** Plants, and says where it is to be found; `cell` by default. */
  readonly act: (sku: string) => Promise<string | undefined>;
}

const CELL = (sku: string): string => `cell ${sku} A`;

const PLANTED: readonly Planted[] = [
  {
    sku: 'edit-redis',
    cause: 'manual_edit',
    act: async (sku) => {
      await plant.editCell(sku, { available: 50 });
      return CELL(sku);
    },
  },
  {
    sku: 'edit-pg',
    cause: 'manual_edit',
    act: async (sku) => {
      await plant.sql(`UPDATE inventory SET available_qty = 7 WHERE sku_id = $1`, [sku]);
      return CELL(sku);
    },
  },
  {
    sku: 'lost-pg',
    cause: 'lost_write',
    act: async (sku) => {
      await plant.sql(
        `UPDATE inventory SET available_qty = 100, reserved_qty = 0, version = version - 1
         WHERE sku_id = $1`,
        [sku],
      );
      return CELL(sku);
    },
  },
  {
    sku: 'gone-pg',
    cause: 'lost_row',
    act: async (sku) => {
      await plant.sql(`DELETE FROM inventory WHERE sku_id = $1`, [sku]);
      return CELL(sku);
    },
  },
  {
    sku: 'gone-redis',
    cause: 'missing_cell',
    act: async (sku) => {
      await plant.dropCell(sku);
      return CELL(sku);
    },
  },
  {
    sku: 'garbage',
    cause: 'unreadable_record',
    act: async (sku) => {
      await plant.putCell(sku, Buffer.from('not a cell'));
      return CELL(sku);
    },
  },
  {
    sku: 'old-cell',
    cause: 'stale_cell',
    act: async (sku) => {
      const old = await plant.cellBytes(sku);
      await hold(sku, 3);
      await persisted();
      await plant.putCell(sku, old);
      return CELL(sku);
    },
  },
  {
    sku: 'double',
    cause: 'double_apply',
    act: async (sku) => {
      await plant.ledger(
        `INSERT INTO stock_movements SELECT lane, epoch, seq, idx + 1000, sku_id, source_warehouse,
           dest_warehouse, pool, source_location, dest_location, quantity, movement_type, reason,
           reference_type, reference_id, unit_cost, currency, actor, created_at
         FROM stock_movements WHERE sku_id = $1 AND movement_type = 'reserve'`,
        [sku],
      );
      return CELL(sku);
    },
  },
  {
    sku: 'unbooked',
    cause: 'lost_movement',
    act: async (sku) => {
      await plant.ledger(
        `DELETE FROM stock_movements WHERE sku_id = $1 AND movement_type = 'reserve'`,
        [sku],
      );
      return CELL(sku);
    },
  },
  {
    sku: 'hold-gone',
    cause: 'missing_hold',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.dropRecord(id);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'order-gone',
    cause: 'missing_record',
    act: async (sku) => {
      const id = await hold(sku);
      await settle('commit', id);
      await persisted();
      await plant.dropRecord(id);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'no-deadline',
    cause: 'missing_expiry',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.dropDeadline(id);
      // Holds of the last two seconds are left to the next run.
      await engine.passSeconds(5);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'old-hold',
    cause: 'stale_hold',
    act: async (sku) => {
      const id = await hold(sku);
      const old = await plant.recordBytes(id);
      await settle('commit', id);
      await persisted();
      await plant.putRecord(id, old);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'row-gone',
    cause: 'lost_row',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.sql(`DELETE FROM reservation_lines WHERE reservation_id = $1`, [id]);
      await plant.sql(`DELETE FROM reservations WHERE reservation_id = $1`, [id]);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'row-edit',
    cause: 'manual_edit',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.sql(`UPDATE reservation_lines SET reserved = 9 WHERE reservation_id = $1`, [id]);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'deadline-edit',
    cause: 'manual_edit',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.sql(`UPDATE reservations SET deadline_s = 4000000000 WHERE reservation_id = $1`, [
        id,
      ]);
      return `reservation ${id}`;
    },
  },
  {
    sku: 'orphan',
    cause: 'orphan_hold',
    act: async (sku) => {
      const id = `orphan-${sku}`;
      const record = {
        state: 'held',
        fingerprint: Buffer.alloc(8, 1),
        createdS: 1_700_000_000,
        version: 1,
        deadlineS: 4_000_000_000,
        operations: [],
        lines: [],
      } as const;
      await plant.putRecord(id, encodeHold(record));
      return `reservation ${id}`;
    },
  },
  {
    sku: 'due-nobody',
    cause: 'orphan_due',
    act: async () => {
      const second = 4_000_000_100;
      const nobody = encodeReference({ id: 'nobody', generation: 20_000, bucket: 9 });
      await engine.redis.rpush(KEYS.due(second), nobody);
      await engine.redis.zadd(KEYS.deadlines, second, second);
      return `deadline ${second}`;
    },
  },
  {
    sku: 'due-unseen',
    cause: 'orphan_due',
    act: async (sku) => {
      const id = await hold(sku, 2, TTL_S + 77);
      await persisted();
      const { rows } = await engine.serving.engine.pool.query<{ deadline_s: number }>(
        'SELECT deadline_s FROM reservations WHERE reservation_id = $1',
        [id],
      );
      const second = rows[0]?.deadline_s ?? 0;
      await engine.redis.zrem(KEYS.deadlines, second);
      return `deadline ${second}`;
    },
  },
  {
    sku: 'hold-garbage',
    cause: 'unreadable_record',
    act: async (sku) => {
      const id = await hold(sku);
      await persisted();
      await plant.putRecord(id, Buffer.from('\x01 not a record'));
      return `reservation ${id}`;
    },
  },
  {
    sku: 'phantom',
    cause: 'phantom_row',
    act: async (sku) => {
      await plant.sql(
        `INSERT INTO inventory (sku_id, warehouse_id, pool, lane, available_qty, reserved_qty,
           allocated_qty, version, epoch, seq, updated_at)
         VALUES ($1, 'A', 'made-up', 0, 5, 0, 0, 1, 1, 1, now())`,
        [sku],
      );
      return `cell ${sku} A/made-up`;
    },
  },
  {
    sku: 'unknown',
    cause: 'missing_product',
    act: async (sku) => {
      await engine.redis.hdel(KEYS.stock(sku), '');
      return `SKU ${sku}`;
    },
  },
];

describe('drift under a sale', () => {
  it(
    'is named by its cause, repaired once, and gone',
    async () => {
      const skus = PLANTED.map(({ sku }) => sku);
      await engine.stock(Object.fromEntries([...skus, HOT].map((sku) => [`${sku}@A`, 100_000])));
      for (const { sku } of PLANTED) await hold(sku);
      await persisted();
      const traffic = startTraffic(engine, HOT);
      expect(named(await run())).toEqual([]);

      const due: string[] = [];
      for (const { sku, cause, act } of PLANTED) due.push(`${(await act(sku)) ?? ''}: ${cause}`);
      // A cell that is sold all the time: PostgreSQL takes the wrong balance with the next entry.
      await plant.editCell(HOT, { available: 40 });
      due.push(`${CELL(HOT)}: balance_drift`);
      const before = traffic.answers();
      await until('the sale goes on', () => traffic.answers() > before + 20);
      await persisted();

      const plan = await run();
      const sums = ['row-gone', 'row-edit'].map((sku) => `${CELL(sku)}: hold_sum_mismatch`);
      expect(named(plan)).toEqual([...due, ...sums].sort());
      expect(plan.applied).toBe(false);
      const repaired = await run({ apply: true });
      expect(
        repaired.differences.filter(({ status }) => /undecided|contended/.test(status)),
      ).toEqual([]);
      expect(repaired.left).toBe(0);
      const again = await run({ apply: true });
      expect(named(again)).toEqual([]);

      const { failures, answers } = await traffic.stop();
      expect(failures).toEqual([]);
      expect(answers).toBeGreaterThan(before);
      await persisted();
      await expectAudit();
      const { compared } = await run();
      expect(compared).toMatchObject({ cells: PLANTED.length + 1, unsettled: 0 });
      expect(compared.ledger_cells).toBe(PLANTED.length + 1);
    },
    TIMEOUT_MS,
  );
});

async function expectAudit(): Promise<void> {
  const redis = connectRedis({ url: engine.server.url, name: 'audit', onError: () => undefined });
  try {
    await whenReady(redis, 5_000);
    const audit = await runAudit({ redis, pool: engine.serving.engine.pool });
    expect(audit.differences.map(({ where, explanation }) => `${where}: ${explanation}`)).toEqual(
      [],
    );
  } finally {
    redis.disconnect();
  }
}
