/**
 * A story (engine/testing/auditor/forge.ts) told to a real Redis and a real PostgreSQL, as the
 * engine, the relay and the persister would have left them: honest until a test bends something.
 * Nothing of theirs is used, so that the audit is tested against the layouts and not against them.
 */
import type { Redis } from 'ioredis';
import type { Pool } from '../../../engine/postgres/pool.ts';
import { createPool } from '../../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../../engine/redis/connect.ts';
import { laneKeys } from '../../../engine/redis/keys.ts';
import type { Change, DecodedEntry } from '../../../engine/testing/auditor/decode.ts';
import type { StoredRecord } from '../../../engine/testing/auditor/decode-record.ts';
import { fieldIn, idBytes, placeOf } from '../../../engine/testing/auditor/decode-record.ts';
import type { Story, StoryHold } from '../../../engine/testing/auditor/forge.ts';
import { FINGERPRINT, splitName } from '../../../engine/testing/auditor/forge.ts';
import { forgeCell, forgeDue, forgeRecord } from '../../../engine/testing/auditor/forge-bytes.ts';
import { startRedis, testDatabase } from '../../../engine/testing/servers.ts';
import { migrate } from '../../../persister/migrate.ts';

export const KEYS = laneKeys(0);

export interface World {
  readonly redis: Redis;
  readonly pool: Pool;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Empties both stores. */
  clear(): Promise<void>;
  tellRedis(story: Story): Promise<void>;
  tellPostgres(story: Story): Promise<void>;
  stop(): Promise<void>;
}

export async function startWorld(): Promise<World> {
  const server = await startRedis();
  const database = await testDatabase();
  const redis = connectRedis({ url: server.url, name: 'audit-test', onError: () => undefined });
  await whenReady(redis, 5_000);
  const pool = createPool({
    url: database.url,
    applicationName: 'audit-test',
    connectionsMax: 4,
    onIdleError: () => undefined,
  });
  await migrate(pool);
  await pool.query(`SELECT ensure_movement_partition('2026-11-01')`);
  return {
    redis,
    pool,
    redisUrl: server.url,
    databaseUrl: database.url,
    clear: async () => {
      await redis.flushall();
      await clearPostgres(pool);
    },
    tellRedis: (story) => tellRedis(redis, story),
    tellPostgres: (story) => tellPostgres(pool, story),
    stop: async () => {
      redis.disconnect();
      await pool.end();
      await Promise.all([server.stop(), database.drop()]);
    },
  };
}

async function clearPostgres(pool: Pool): Promise<void> {
  await pool.query(`DELETE FROM entries; DELETE FROM inventory; DELETE FROM reservations;
    DELETE FROM reservation_lines; DELETE FROM operations; DELETE FROM products;
    UPDATE positions SET epoch = 0, seq = 0, nonce = '\\x0000000000000000', parked = NULL`);
  // The ledger refuses to forget; only a new partition does.
  await pool.query(`DROP TABLE stock_movements_2026_11;
    SELECT ensure_movement_partition('2026-11-01')`);
}

async function tellRedis(redis: Redis, story: Story): Promise<void> {
  const { epoch, seq, nonce } = story.last;
  // The story's time goes on from where it ended, whatever the clock of the machine says.
  const offset = story.timeMs - Date.now();
  const meta = { state: 'open', term: epoch, epoch, seq, offset, time: story.timeMs };
  await redis.hset(KEYS.meta, { ...meta, nonce: Buffer.from(nonce, 'hex') });
  for (const [i, { id }] of story.entries.entries()) {
    await redis.xadd(KEYS.log, `${id.epoch}-${id.seq}`, 'e', story.written[i] ?? '');
  }
  for (const sku of story.products.keys()) await redis.hset(KEYS.stock(sku), '', '1');
  for (const [name, cell] of story.cells) {
    const { sku, field } = splitName(name);
    await redis.hset(KEYS.stock(sku), field, forgeCell(cell));
  }
  for (const hold of story.holds.values()) await tellHold(redis, hold);
  for (const { id, day, timeMs } of story.operations) {
    const record = { fingerprint: FINGERPRINT, createdS: Math.floor(timeMs / 1000) };
    const bytes = forgeRecord({ state: 'operation', ...record });
    await redis.hset(holdKey(id, day), fieldAt(id, day), bytes);
  }
}

export function holdKey(id: string, day: number): string {
  return KEYS.hold(day, placeOf(id).bucket);
}

export function fieldAt(id: string, day: number): Buffer {
  return fieldIn(KEYS.lane, day, placeOf(id).bucket, idBytes(id));
}

export function recordOf(hold: StoryHold): StoredRecord {
  const { state, version, deadlineS, operations, closedBy, units: lines } = hold;
  const common = { fingerprint: FINGERPRINT, createdS: Math.floor(hold.createdMs / 1000) };
  const number = { version, deadlineS, commitFingerprint: 0 };
  return { state, ...common, ...number, ...(closedBy && { closedBy }), operations, lines };
}

async function tellHold(redis: Redis, hold: StoryHold): Promise<void> {
  const { id, generation, deadlineS, state } = hold;
  await redis.hset(holdKey(id, generation), fieldAt(id, generation), forgeRecord(recordOf(hold)));
  if (state !== 'held') return;
  await redis.zadd(KEYS.deadlines, deadlineS, deadlineS);
  const due = forgeDue([{ day: generation, bucket: placeOf(id).bucket, id }]);
  await redis.rpush(KEYS.due(deadlineS), due);
}

async function tellPostgres(pool: Pool, story: Story): Promise<void> {
  for (const entry of story.entries) await tellEntry(pool, entry);
  const { epoch, seq, nonce } = story.last;
  await pool.query(
    `UPDATE positions SET epoch = $1, seq = $2, nonce = $3, time_ms = $4 WHERE lane = 0`,
    [epoch, seq, Buffer.from(nonce, 'hex'), story.timeMs],
  );
  for (const [sku, at] of story.products) {
    await pool.query(
      'INSERT INTO products (sku_id, defined_epoch, defined_seq) VALUES ($1, $2, $3)',
      [sku, at.epoch, at.seq],
    );
  }
  for (const [name, cell] of story.cells) {
    await pool.query(
      `INSERT INTO inventory (sku_id, warehouse_id, pool, lane, available_qty, reserved_qty,
         allocated_qty, version, epoch, seq, updated_at)
       VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, now())`,
      [...cellNames(name), cell.available, cell.reserved, cell.allocated, cell.version, epoch, seq],
    );
  }
  for (const hold of story.holds.values()) await tellReservation(pool, hold);
  for (const { id, kind, day, timeMs, at } of story.operations) {
    await pool.query(
      `INSERT INTO operations (operation_id, epoch, seq, lane, generation, kind, fingerprint,
         created_s) VALUES ($1, $2, $3, 0, $4, $5, $6, $7)`,
      [id, at.epoch, at.seq, day, kind, Buffer.from(FINGERPRINT, 'hex'), Math.floor(timeMs / 1000)],
    );
  }
}

function cellNames(name: string): [sku: string, warehouse: string, pool: string] {
  const { sku, field } = splitName(name);
  const [warehouse = '', pool = 'shared'] = field.split('/');
  return [sku, warehouse, pool];
}

async function tellReservation(pool: Pool, hold: StoryHold): Promise<void> {
  const { id, createdAt, changedAt, state } = hold;
  const key = [id, createdAt.epoch, createdAt.seq];
  await pool.query(
    `INSERT INTO reservations (reservation_id, created_epoch, created_seq, lane, generation, status,
       version, fingerprint, created_s, deadline_s, epoch, seq, operations, closed_by)
     VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      ...key,
      hold.generation,
      state,
      hold.version,
      Buffer.from(FINGERPRINT, 'hex'),
      Math.floor(hold.createdMs / 1000),
      hold.deadlineS,
      changedAt.epoch,
      changedAt.seq,
      hold.operations.map((each) => Buffer.from(each, 'hex')),
      hold.closedBy,
    ],
  );
  for (const { line, sku, field, units } of hold.units) {
    const [, warehouse, poolName] = cellNames(`${sku} ${field}`);
    const [reserved, allocated] = state === 'held' ? [units, 0] : [0, units];
    await pool.query(
      `INSERT INTO reservation_lines (reservation_id, created_epoch, created_seq, line, placement,
         sku_id, warehouse_id, pool, requested, reserved, allocated)
       VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10)`,
      [...key, line, sku, warehouse, poolName, units, reserved, allocated],
    );
  }
}

async function tellEntry(pool: Pool, entry: DecodedEntry): Promise<void> {
  const { id, predecessor: before } = entry;
  await pool.query(
    `INSERT INTO entries (lane, epoch, seq, nonce, pred_epoch, pred_seq, pred_nonce, kind, time_ms)
     VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      id.epoch,
      id.seq,
      Buffer.from(id.nonce, 'hex'),
      before.epoch,
      before.seq,
      Buffer.from(before.nonce, 'hex'),
      entry.kind,
      entry.timeMs,
    ],
  );
  const moves = entry.changes.flatMap(movementsOf).filter(([, , , units]) => units > 0);
  for (const [idx, [source, dest, cell, units]] of moves.entries()) {
    const at = entry.cells[cell];
    if (at === undefined) throw new Error('the story moves units of a cell that it does not name');
    const [sku, warehouse, poolName] = cellNames(`${at.sku} ${at.field}`);
    const inside = (location: string) =>
      ['available', 'reserved', 'allocated'].includes(location) ? warehouse : null;
    await pool.query(
      `INSERT INTO stock_movements (lane, epoch, seq, idx, sku_id, source_warehouse,
         dest_warehouse, pool, source_location, dest_location, quantity, movement_type, created_at)
       VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'told', to_timestamp($11::float8 / 1000))`,
      [
        id.epoch,
        id.seq,
        idx,
        sku,
        inside(source),
        inside(dest),
        poolName,
        source,
        dest,
        units,
        entry.timeMs,
      ],
    );
  }
}

type Movement = [source: string, dest: string, cell: number, units: number];

function movementsOf(change: Change): Movement[] {
  switch (change.type) {
    case 'reserved':
      return change.placements.map(({ cell, units }) => ['available', 'reserved', cell, units]);
    case 'committed':
      return change.moves.flatMap(({ cell, allocated, freed }): Movement[] => [
        [change.retaken ? 'available' : 'reserved', 'allocated', cell, allocated],
        ['reserved', 'available', cell, freed],
      ]);
    case 'released':
    case 'expired':
      return change.moves.map(({ cell, units }) => ['reserved', 'available', cell, units]);
    case 'cancelled':
      return change.moves.map(({ cell, units }) => ['allocated', 'available', cell, units]);
    case 'shipped':
      return change.moves.map(({ cell, units }) => ['allocated', 'customer', cell, units]);
    case 'stock_moved':
      return change.deltas.map(({ cell, delta }) => {
        const outside = change.kind === 'receive' ? 'supplier' : 'loss';
        return delta < 0
          ? ['available', outside, cell, -delta]
          : [outside, 'available', cell, delta];
      });
    default:
      return [];
  }
}
