/**
 * The scripts write the bytes that engine/events/vectors.json lists: the same history, asked of a
 * real Redis with the same ids, nonces and lane time, entry by entry. (The codec reads and writes
 * these bytes in engine/events/vectors.test.ts, SQL merges them in persister/vectors.int.test.ts.)
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isMadeId, packId } from '../engine/domain/reservation-id.ts';
import type { Change, Entry } from '../engine/events/entry.ts';
import { NEVER } from '../engine/events/entry.ts';
import { decodeEntry } from '../engine/events/entry-codec.ts';
import type { Operation } from '../engine/redis/operation.ts';
import {
  BatchEncoder,
  encodeContext,
  encodeSkus,
  encodeStock,
} from '../engine/redis/operation-codec.ts';
import { scriptRunner } from '../engine/redis/script.ts';
import { KEYS, startTestLane, TERM, type TestLane } from '../engine/redis/testing/test-lane.ts';

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly form?: 'run' | 'runs';
}

const { vectors } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../engine/events/vectors.json'), 'utf8'),
) as { vectors: Vector[] };

/** What no script writes; the codec must read it all the same. */
const NOT_OF_LUA: Readonly<Record<string, string>> = {
  'stock_moved: adjust below zero, text beyond ASCII': 'adjust never goes below zero',
  'reserved: a line split over two cells, fewer units than were asked for':
    'its deadline is the greatest that the format can say',
  'repaired: a balance that was off, brought to the ledger, which remembers it there and back':
    'its change is made by reconcile, which tests it on its own script',
  'repaired: a hold whose row was off, and a movement that the ledger had lost':
    'its change is made by reconcile, which tests it on its own script',
};
const NO_KEY = Buffer.alloc(8);
/** Keeps the clock of Redis far behind, so that lane time is what meta says. */
const OFFSET_MS = -1e12;
const TIME_AT = 50;
const HOLD_AGE_MAX_S = 86_400;

let t: TestLane;
beforeAll(async () => {
  t = await startTestLane();
  await t.redis.flushall();
});
afterAll(() => t.stop());

it('writes every entry of the history to the byte', async () => {
  for (const { name, hex, form } of vectors.filter((each) => !(each.name in NOT_OF_LUA))) {
    const entry = decodeEntry(Buffer.from(hex, 'hex'));
    const written = await write(entry, form !== undefined);
    if (entry.kind === 'tick') {
      // Written when a second of Redis's own clock has passed: all but the time is compared.
      written.writeBigInt64BE(BigInt(entry.timeMs), TIME_AT);
      await t.redis.hset(KEYS.meta, 'time', entry.timeMs, 'offset', OFFSET_MS);
    }
    expect(written.toString('hex'), name).toBe(hex);
  }
});

async function write(entry: Entry, isRun: boolean): Promise<Buffer> {
  if (entry.kind === 'opened') await open(entry);
  else if (entry.kind === 'tick') await tick(entry);
  else await batch(entry, isRun);
  const last = await t.redis.xrevrangeBuffer(KEYS.log, '+', '-', 'COUNT', 1);
  return last[0]?.[1][1] ?? Buffer.alloc(0);
}

async function open({ key, predecessor, timeMs }: Entry): Promise<void> {
  const claim = await t.state.claim(key.epoch);
  if (!claim.claimed) throw new Error(`term ${claim.term} stands`);
  const head = predecessor.seq === 0 ? NEVER : predecessor;
  await t.redis.hset(KEYS.meta, 'time', timeMs);
  await t.state.open(key.epoch, claim.replid, head, key.nonce, timeMs);
  await t.redis.hset(KEYS.meta, 'offset', OFFSET_MS);
}

const context = ({ key }: Entry, number?: number): Buffer =>
  encodeContext({
    seenEpoch: 0,
    seenSeq: 0,
    nonce: key.nonce,
    ...(number !== undefined && { number }),
  });

async function tick(entry: Entry): Promise<void> {
  await t.redis.hset(KEYS.meta, 'time', 0, 'offset', 0);
  await t.redis.zadd(KEYS.deadlines, 9e9, '9000000000');
  await run('expire', context(entry, 100));
  await t.redis.zrem(KEYS.deadlines, '9000000000');
}

async function run(name: 'submit' | 'expire' | 'stock', ...args: Buffer[]): Promise<void> {
  const reply = (await scriptRunner(t.redis)(name, KEYS.meta, args)) as Buffer;
  expect(reply[0], 'fenced').toBe(0);
}

async function batch(entry: Entry, isRun: boolean): Promise<void> {
  await t.redis.hset(KEYS.meta, 'time', entry.timeMs);
  const [first] = entry.changes;
  if (first?.type === 'product_defined') {
    const skus = entry.changes.flatMap((each) => ('sku' in each ? [each.sku] : []));
    return run('stock', context(entry), encodeSkus(skus, 3));
  }
  if (first?.type === 'stock_moved') {
    const lines = first.deltas.map(({ cell, delta }) => ({ ...cellOf(entry, cell), delta }));
    const operation = { ...first, id: packId(first.id), fresh: false, lines };
    return run('stock', context(entry), encodeStock(operation));
  }
  if (first?.type === 'expired') return run('expire', context(entry, 100));
  const operations = entry.changes.map((change) => operationOf(entry, change, isRun));
  return run(
    'submit',
    context(entry, HOLD_AGE_MAX_S),
    ...new BatchEncoder(0).encode(operations, { ...entry.key, timeMs: entry.timeMs, atMs: 0 })
      .payload,
  );
}

function cellOf(entry: Entry, index: number) {
  const cell = entry.cells[index];
  if (cell === undefined) throw new Error(`the entry has no cell ${index}`);
  return { sku: cell.sku, field: cell.field };
}

/** The operation whose result the change is. */
function operationOf(entry: Entry, change: Change, isRun: boolean): Operation {
  if (!('id' in change)) throw new Error(`no operation makes ${change.type}`);
  const id = packId(change.id);
  const moved = (moves: readonly { cell: number; quantity: number }[]) =>
    moves.map(({ cell, quantity }) => ({ ...cellOf(entry, cell), quantity }));
  switch (change.type) {
    case 'reserved':
      return {
        kind: 'reserve',
        id,
        // Who stands in a run has an id that nobody can know, or one of a key.
        fresh: isRun && isMadeId(id),
        ...(!isRun && { apart: true }),
        fingerprint: change.fingerprint,
        ttlS: change.deadlineS - Math.ceil(entry.timeMs / 1_000),
        partial: false,
        split: true,
        attributes: change.attributes,
        lines: change.lines.map(({ requested, placements }) => ({
          sku: cellOf(entry, placements[0]?.cell ?? 0).sku,
          quantity: requested,
          fields: placements.map(({ cell }) => cellOf(entry, cell).field),
        })),
      };
    case 'extended':
      return { kind: 'extend', id, ttlS: change.deadlineS - Math.ceil(entry.timeMs / 1_000) };
    case 'committed': {
      const isPart = change.moves.some(({ freed }) => freed > 0) || change.retaken;
      const named = change.moves.map(({ cell, allocated }) => ({ cell, quantity: allocated }));
      return {
        kind: 'commit',
        id,
        attributes: change.attributes,
        commitFingerprint: change.commitFingerprint,
        ...(isPart && { lines: moved(named) }),
        ...(change.retaken && {
          retake: { holdEpoch: TERM, fingerprint: change.fingerprint, untilMs: 1 },
        }),
      };
    }
    case 'released':
    case 'cancelled':
    case 'shipped': {
      const kind = { released: 'release', cancelled: 'cancel', shipped: 'ship' } as const;
      const isKeyed = !change.operation.equals(NO_KEY);
      return {
        kind: kind[change.type],
        id,
        attributes: change.attributes,
        ...(isKeyed && { operationKey: change.operation, lines: moved(change.moves) }),
      };
    }
    default:
      throw new Error(`no operation makes ${change.type}`);
  }
}
