/** When a lane refuses, and what recovery's scripts do to it, on a real Redis. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SCRIPTS } from '../../lua/generated/scripts.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import { packId } from '../domain/reservation-id.ts';
import { TAIL_BYTES } from '../domain/script-limits.ts';
import { encodeHold } from '../events/hold-codec.ts';
import { RestoreEncoder } from './restore-encoder.ts';
import {
  FINGERPRINT,
  KEYS,
  open,
  reserve,
  settle,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10 });
});
afterEach(() => t.stop());

const buy = (id = packId('a')) => t.submit(reserve(id, { 'X@A': 1 }));

describe('every script compiles in a real Redis', () => {
  it.each(Object.entries(SCRIPTS))('%s', async (_, { source }) => {
    expect(await t.redis.script('LOAD', source)).toMatch(/^[0-9a-f]{40}$/);
  });
});

describe('the fence', () => {
  const refused = async (reason: string): Promise<void> => {
    const before = await t.redis.call('DEBUG', 'DIGEST');
    expect((await buy(packId('b'))).outcome).toBe('fenced');
    expect((await t.submit({ kind: 'inspect', id: packId('a') })).outcome).toBe('fenced');
    expect((await t.lane.availability(['X' as Sku])).outcome).toBe('fenced');
    expect((await t.lane.expire(10)).outcome).toBe('fenced');
    expect(new Set(t.fences)).toEqual(new Set([reason]));
    expect(await t.redis.call('DEBUG', 'DIGEST')).toBe(before);
  };

  it('refuses an emptied Redis', async () => {
    await t.redis.flushall();
    await refused('no_meta');
  });

  it('refuses a closed lane', async () => {
    await t.state.claim(TERM + 1);
    await refused('closed');
  });

  it('refuses a node that was restarted or promoted since it was opened', async () => {
    await t.redis.hset(KEYS.meta, 'replid', 'f'.repeat(40));
    await refused('replid');
  });

  it('refuses a caller that has seen a later position', async () => {
    await buy();
    await t.redis.hset(KEYS.meta, 'seq', '2');
    await t.redis.xtrim(KEYS.log, 'MAXLEN', 0);
    await refused('behind_caller');
  });

  it('refuses after a script that died half way, also who would write nothing', async () => {
    await t.redis.xadd(KEYS.log, `${TERM}-99`, 'e', 'half');
    await refused('half_done');
  });
});

describe('trim', () => {
  it('goes no further than PostgreSQL, never takes the last entry, and keeps a margin', async () => {
    for (const id of ['a', 'b', 'c']) await buy(packId(id));
    const seqs = async () => (await t.entries()).map(({ key }) => key.seq);
    expect(await seqs()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await t.state.trim({ epoch: TERM, seq: 6 }, 3_600_000)).toBe(0);
    expect(await t.state.trim({ epoch: TERM, seq: 2 }, 0)).toBe(2);
    expect(await seqs()).toEqual([3, 4, 5, 6]);
    expect(await t.state.trim({ epoch: TERM + 1, seq: 9 }, 0)).toBe(0);
    expect(await t.state.trim({ epoch: TERM, seq: 6 }, 0)).toBe(3);
    expect(await seqs()).toEqual([6]);
    await t.state.claim(TERM + 1);
    expect(await t.state.trim({ epoch: TERM, seq: 6 }, 0)).toBe(-1);
  });

  it('finds in a long stream what may go, a piece at a time, in whatever epoch it was written', async () => {
    const later = TERM + 1;
    const add = (epoch: number, seq: number, ageMs: number) =>
      t.redis.xadd(KEYS.log, `${epoch}-${seq}`, 'e', writtenAt(t.lane.nowMs() - ageMs));
    const left = async () => (await t.redis.xrange(KEYS.log, '-', '+', 'COUNT', 1))[0]?.[0];
    const hour = 3_600_000;
    await t.redis.del(KEYS.log);
    for (let seq = 1; seq <= 600; seq++) await add(TERM, seq, seq <= 450 ? 2 * hour : 60_000);
    for (let seq = 1; seq <= 3; seq++) await add(later, seq, 0);
    await t.redis.hset(KEYS.meta, { epoch: later, seq: 3 });
    const here = { epoch: later, seq: 2 };
    const removed = [];
    for (let i = 0; i < 3; i++) removed.push(await t.state.trim(here, hour));
    expect(removed).toEqual([256, 194, 0]);
    expect(await left()).toBe(`${TERM}-451`);
    expect(await t.state.trim({ epoch: TERM, seq: 500 }, 0)).toBe(50);
    expect(await t.state.trim({ epoch: TERM, seq: 500 }, 0)).toBe(0);
    expect(await t.state.trim(here, 0)).toBe(100);
    expect(await t.state.trim(here, 0)).toBe(2);
    expect(await left()).toBe(`${later}-3`);
    expect(await t.state.trim({ epoch: later, seq: 3 }, 0)).toBe(0);
  });
});

/** An entry as far as trimming looks at it. */
function writtenAt(timeMs: number): Buffer {
  const bytes = Buffer.alloc(58);
  bytes.writeBigInt64BE(BigInt(timeMs), 50);
  return bytes;
}

describe('tail', () => {
  it('gives no more than it has room for, but each entry, and the first however big it is', async () => {
    const sizes = [1.5 * TAIL_BYTES, 10, 20, TAIL_BYTES / 2, 30, TAIL_BYTES, 40, 40];
    await t.redis.del(KEYS.log);
    for (const [i, size] of sizes.entries()) {
      await t.redis.xadd(KEYS.log, `${TERM}-${i + 1}`, 'e', Buffer.alloc(size));
    }
    const looks: number[][] = [];
    let after = { epoch: TERM, seq: 0 };
    for (;;) {
      const { entries } = await t.state.tail(after, 100);
      const last = entries.at(-1);
      if (last === undefined) break;
      looks.push(entries.map(({ bytes }) => bytes.length));
      after = last;
    }
    expect(looks.flat()).toEqual(sizes);
    expect(looks).toEqual([sizes.slice(0, 1), sizes.slice(1, 6), sizes.slice(6)]);
    expect((await t.state.tail({ epoch: TERM, seq: 1 }, 2)).entries).toHaveLength(2);
  });
});

describe('recovery scripts', () => {
  it('claim once to a term, keep lane time frozen, and open the next epoch', async () => {
    await buy();
    await t.passSeconds(-1_000);
    const claim = await t.state.claim(TERM + 5);
    expect(claim).toMatchObject({ claimed: true, last: { epoch: TERM, seq: 4 } });
    expect(await t.state.claim(TERM + 5)).toEqual({ claimed: false, term: TERM + 5 });
    expect(await t.state.claim(TERM + 6)).toMatchObject({ claimed: true });
    if (!claim.claimed) throw new Error('not claimed');
    expect(await t.state.open(TERM + 5, claim.replid, claim.last, randomBytes(8), 0)).toBe(
      'claim_lost',
    );
    expect(await t.state.open(TERM + 6, 'f'.repeat(40), claim.last, randomBytes(8), 0)).toBe(
      'claim_lost',
    );
    const later = claim.timeMs + 5_000_000;
    expect(await t.state.open(TERM + 6, claim.replid, claim.last, randomBytes(8), later)).toBe(
      'done',
    );
    const opened = (await t.entries()).at(-1);
    expect(opened).toMatchObject({
      kind: 'opened',
      key: { epoch: TERM + 6, seq: 1 },
      timeMs: later,
    });
    expect(opened?.predecessor.nonce).toEqual(claim.last.nonce);
    const { stamp } = await buy(packId('z'));
    expect(stamp.epoch).toBe(TERM + 6);
    expect(stamp.timeMs).toBeGreaterThanOrEqual(later);
    expect(stamp.timeMs).toBeLessThan(later + 60_000);
  });

  it('wipe all but meta, restore rows, and leave a lane that sells them', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => buy(packId(`w${i}`))));
    const claim = await t.state.claim(TERM + 1);
    if (!claim.claimed) throw new Error('not claimed');
    const { replid } = claim;
    for (let more = true; more; ) {
      const wiped = await t.state.wipe(TERM + 1, replid);
      expect(wiped.reply).toBe('done');
      more = wiped.more;
    }
    expect(await t.redis.keys('*')).toEqual([KEYS.meta]);
    expect((await t.state.tail({ epoch: 0, seq: 0 }, 1)).last.seq).toBe(0);
    const id = packId('restored');
    const deadlineS = Math.ceil(claim.timeMs / 1000) + 60;
    const record = encodeHold({
      state: 'held',
      fingerprint: FINGERPRINT,
      version: 1,
      createdS: deadlineS - 600,
      deadlineS,
      operations: [],
      lines: [
        {
          line: 0,
          sku: 'Y' as Sku,
          requested: 2,
          placements: [{ field: 'A' as CellField, quantity: 2 }],
        },
      ],
    });
    const rows = new RestoreEncoder(KEYS, { isOverOlder: false });
    const [sku, field] = ['Y' as Sku, 'A' as CellField];
    rows.product(sku);
    rows.cell({ sku, field, available: 3, reserved: 2, allocated: 0, version: 70_000 });
    const generation = Math.floor(claim.timeMs / 86_400_000);
    rows.record({ id, generation, record, deadlineS });
    const chunk = rows.take();
    expect(await t.state.restore(TERM + 2, replid, chunk)).toBe('claim_lost');
    expect(await t.state.restore(TERM + 1, replid, chunk)).toBe('done');
    expect(await t.state.restore(TERM + 1, replid, chunk)).toBe('done');
    await open(t.state, TERM + 2);
    expect(await t.submit(reserve(id, { 'Y@A': 2 }))).toMatchObject({ outcome: 'exists' });
    expect(await t.cells('Y')).toEqual({ A: [3, 2, 0] });
    await t.passSeconds(61);
    expect(await t.lane.expire(100)).toMatchObject({ expired: 1 });
    expect(await t.cells('Y')).toEqual({ A: [5, 0, 0] });
    expect((await t.submit(settle('commit', id))).outcome).toBe('expired');
  });
});
