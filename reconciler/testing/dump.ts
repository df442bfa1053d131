/** What a lane has in Redis, and what PostgreSQL says that it should have, in one comparable form. */
import type { Redis } from 'ioredis';
import { addressOf } from '../../engine/domain/reservation-id.ts';
import { encodeCell } from '../../engine/events/cell-codec.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import type { RecordRow, RestoreChunk } from '../../engine/redis/lane-state.ts';
import { readRows } from '../rows.ts';
import { KEYS, LANE } from './stack.ts';

/** `<key without prefix> <field in hex>`: value in hex. */
export type Dump = Readonly<Record<string, string>>;

/** Over so many bytes a record stands in `cart:`, and `hold:` has a stub (lua/includes/holds.lua). */
const CART_BYTES = 400;
const STUB_BYTES = 13;
const STUB_FLAG = 128;

/** Everything of the lane that recovery has to bring back, but for the due references. */
export async function dumpRedis(redis: Redis): Promise<Dump> {
  const dump: Record<string, string> = {};
  for (const key of (await redis.keys(`${KEYS.prefix}*`)).sort()) {
    const name = key.slice(KEYS.prefix.length);
    if (!/^(stock|hold|cart):/.test(name)) continue;
    const flat = await redis.callBuffer('HGETALL', key);
    if (!Array.isArray(flat)) throw new TypeError(`${key} is no hash`);
    for (let i = 0; i < flat.length; i += 2) dump[`${name} ${hex(flat[i])}`] = hex(flat[i + 1]);
  }
  return dump;
}

/** The same, made of PostgreSQL's rows. */
export async function dumpPostgres(pool: Pool): Promise<Dump> {
  const dump: Record<string, string> = {};
  const head = await readPosition(pool, LANE);
  for await (const chunk of readRows(pool, { lane: LANE, head })) addChunk(dump, chunk);
  return dump;
}

function addChunk(dump: Record<string, string>, chunk: RestoreChunk): void {
  for (const sku of chunk.products) dump[`stock:${sku} `] = hex(Buffer.from('1'));
  for (const cell of chunk.cells) {
    dump[`stock:${cell.sku} ${hex(Buffer.from(cell.field))}`] = hex(encodeCell(cell));
  }
  for (const row of chunk.records) addRecord(dump, row);
}

function addRecord(dump: Record<string, string>, row: RecordRow): void {
  const place = `${row.generation}:${addressOf(row.id).bucket} ${hex(row.id)}`;
  if (row.record.length <= CART_BYTES) {
    dump[`hold:${place}`] = hex(row.record);
    return;
  }
  const stub = Buffer.from(row.record.subarray(0, STUB_BYTES));
  stub.writeUInt8(stub.readUInt8(0) + STUB_FLAG, 0);
  dump[`hold:${place}`] = hex(stub);
  dump[`cart:${place}`] = hex(row.record);
}

function hex(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value);
}

/** Seconds in which something may be due. */
export async function dueSeconds(redis: Redis): Promise<readonly string[]> {
  return redis.zrange(KEYS.deadlines, '0', '-1');
}
