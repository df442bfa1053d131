/** Drift, made by hand: what an operator with a shell, a disk or a bug does to a store. */

import type { Cell } from '../../../engine/domain/cell.ts';
import { addressOf, fieldOf, generationOf, packId } from '../../../engine/domain/reservation-id.ts';
import { decodeCell, encodeCell } from '../../../engine/events/cell-codec.ts';
import { laneKeys } from '../../../engine/redis/keys.ts';
import type { TestEngine } from '../../../engine/testing/engine.ts';
import { without } from '../due-element.ts';

const KEYS = laneKeys(0);

export interface Planter {
  /** Changes the balances of a cell in Redis. */
  editCell(sku: string, by: Partial<Cell>): Promise<void>;
  cellBytes(sku: string): Promise<Buffer>;
  putCell(sku: string, bytes: Buffer): Promise<void>;
  dropCell(sku: string): Promise<void>;
  recordBytes(id: string): Promise<Buffer>;
  putRecord(id: string, bytes: Buffer): Promise<void>;
  dropRecord(id: string): Promise<void>;
  /** Takes every reference to the id out of the deadlines. */
  dropDeadline(id: string): Promise<void>;
  sql(text: string, values?: readonly unknown[]): Promise<void>;
  /** Past the trigger that keeps the ledger. */
  ledger(text: string, values?: readonly unknown[]): Promise<void>;
}

export function planter(engine: TestEngine): Planter {
  const { redis } = engine;
  const { pool } = engine.serving.engine;
  const bytesOf = async (key: string, field: string | Buffer): Promise<Buffer> => {
    const bytes = await redis.hgetBuffer(key, field);
    if (bytes === null) throw new Error(`${key} has no such field`);
    return bytes;
  };
  const place = async (id: string): Promise<{ key: string; field: Buffer }> => {
    const packed = packId(id);
    const { generation: own, bucket } = addressOf(packed);
    const generation = own === 0 ? generationOf(Date.now()) : own;
    const field = fieldOf(packed, { lane: KEYS.lane, generation, bucket });
    return { key: KEYS.hold(generation, bucket), field };
  };
  const sql = async (text: string, values: readonly unknown[] = []): Promise<void> => {
    const { rowCount } = await pool.query(text, [...values]);
    if (rowCount === 0) throw new Error(`nothing was planted: ${text}`);
  };
  const trigger = 'stock_movements %s TRIGGER stock_movements_immutable';
  return {
    sql,
    editCell: async (sku, by) => {
      for (;;) {
        const seen = await bytesOf(KEYS.stock(sku), 'A');
        const edited = encodeCell(edit(decodeCell(seen), by));
        // Between two sales, so that the edit is all that is wrong.
        const done = await redis.eval(SWAP, 1, KEYS.stock(sku), 'A', seen, edited);
        if (done === 1) return;
      }
    },
    cellBytes: (sku) => bytesOf(KEYS.stock(sku), 'A'),
    putCell: async (sku, bytes) => {
      await redis.hset(KEYS.stock(sku), 'A', bytes);
    },
    dropCell: async (sku) => {
      await redis.hdel(KEYS.stock(sku), 'A');
    },
    recordBytes: async (id) => {
      const { key, field } = await place(id);
      return bytesOf(key, field);
    },
    putRecord: async (id, bytes) => {
      const { key, field } = await place(id);
      await redis.hset(key, field, bytes);
    },
    dropRecord: async (id) => {
      const { key, field } = await place(id);
      if ((await redis.hdel(key, field)) === 0) throw new Error(`${id} has no record`);
    },
    dropDeadline: (id) => dropDeadline(engine, id),
    ledger: async (text, values) => {
      await pool.query(`ALTER TABLE ${trigger.replace('%s', 'DISABLE')}`);
      await sql(text, values);
      await pool.query(`ALTER TABLE ${trigger.replace('%s', 'ENABLE')}`);
    },
  };
}

const SWAP = `
  if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return 1`;

function edit(cell: Cell, by: Partial<Cell>): Cell {
  return {
    available: cell.available + (by.available ?? 0),
    reserved: cell.reserved + (by.reserved ?? 0),
    allocated: cell.allocated + (by.allocated ?? 0),
    version: cell.version + (by.version ?? 0),
  };
}

async function dropDeadline({ redis }: TestEngine, id: string): Promise<void> {
  for (const second of await redis.zrange(KEYS.deadlines, '0', '-1')) {
    const key = KEYS.due(Number(second));
    for (const element of await redis.lrangeBuffer(key, 0, -1)) {
      const kept = without(element, (reference) => reference.place.id === id);
      if (kept.equals(element)) continue;
      if (kept.length > 0) await redis.linsert(key, 'BEFORE', element, kept);
      await redis.lrem(key, 1, element);
      return;
    }
  }
  throw new Error(`no deadline names ${id}`);
}
