import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { idBytes } from '../../engine/testing/auditor/decode-record.ts';
import type { Story } from '../../engine/testing/auditor/forge.ts';
import { forgeCell, forgeRecord } from '../../engine/testing/auditor/forge-bytes.ts';
import { runAudit } from './audit.ts';
import type { AuditReport } from './report.ts';
import { renderAudit } from './report.ts';
import { EPOCH, tell } from './testing/told.ts';
import type { World } from './testing/world.ts';
import { holdKey, KEYS, recordOf, startWorld } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());
beforeEach(() => world.clear());

async function tellBoth(): Promise<Story> {
  const story = tell();
  await world.tellRedis(story);
  await world.tellPostgres(story);
  return story;
}

const LIMITS = { catchUpMs: 50 };

async function audit(limits = {}): Promise<AuditReport> {
  return runAudit({ redis: world.redis, pool: world.pool, limits: { ...LIMITS, ...limits } });
}

function shown(report: AuditReport): string[] {
  return report.differences.map(
    ({ invariant, where, explanation }) => `${invariant} ${where}: ${explanation}`,
  );
}

/** Row-by-row triggers would refuse: this is what a hand in the database can do. */
async function tamperWithLedger(sql: string): Promise<void> {
  const trigger = 'stock_movements DISABLE TRIGGER stock_movements_immutable';
  await world.pool.query(`ALTER TABLE ${trigger}`);
  await world.pool.query(sql);
  await world.pool.query(`ALTER TABLE ${trigger.replace('DISABLE', 'ENABLE')}`);
}

describe('stores that agree', () => {
  it('differ in nothing, and the report says what was compared', async () => {
    const story = await tellBoth();
    const report = await audit();
    expect(shown(report)).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      position: { epoch: EPOCH, seq: story.last.seq },
      redis_position: { epoch: EPOCH, seq: story.last.seq },
      lane_state: 'open',
      log: { source: 'stream', from: { epoch: EPOCH, seq: 1 }, complete: true },
      compared: { cells: 3, holds: 1, reservations: 5, operations: 3, ledger_cells: 3 },
      units: { granted: 148, available: 136, reserved: 4, allocated: 3, shipped: 5, oversold: 0 },
    });
    expect(report.compared.entries).toBe(story.entries.length);
    expect(report.compared.log_entries).toBe(story.entries.length);
    const text = renderAudit(report);
    expect(text).toContain(`at position ${EPOCH}-${story.last.seq}`);
    expect(text).toContain('148 granted = 136 available + 4 held + 3 committed + 5 shipped');
    expect(text).toContain('Nothing differs.');
  });

  it('agree when nothing was ever done', async () => {
    const report = await audit();
    expect(report).toMatchObject({ ok: true, lane_state: 'empty', position: { epoch: 0, seq: 0 } });
  });

  it('agree when the beginning of the log is trimmed', async () => {
    await tellBoth();
    await world.redis.xtrim(KEYS.log, 'MINID', `${EPOCH}-6`);
    const report = await audit();
    expect(shown(report)).toEqual([]);
    expect(report.log).toMatchObject({ from: { epoch: EPOCH, seq: 6 }, complete: false });
  });

  it('agree when Redis goes on behind the position of PostgreSQL', async () => {
    const story = tell();
    await world.tellPostgres(story);
    story
      .reserve('new', [['TEA EU-1', 7]])
      .commit('held')
      .write();
    story
      .release('new')
      .shipOne('kept', '0000000b00000001')
      .stock('op-4', [['TEA EU-1', 1]])
      .write();
    story
      .define('POT')
      .stock('op-5', [['POT EU-1', 1]])
      .write();
    await world.tellRedis(story);
    const report = await audit();
    // What PostgreSQL owes is told once; every value is what the log makes of the snapshot.
    expect(shown(report)).toEqual([expect.stringMatching(/^I8 lane 0: PostgreSQL did not come/)]);
    expect(report.redis_position.seq).toBe(report.position.seq + 3);
  });

  it('agree when Redis has dropped, or not yet, what nobody looks for any more', async () => {
    const story = tell().tick(3 * 86_400_000);
    story.reserve('new', [['TEA EU-1', 1]]).write();
    const held = story.holds.get('held');
    if (held === undefined) throw new Error('the story has no hold');
    // As a lost tail leaves it: expired for PostgreSQL, and older than what recovery copies back.
    story.expire('held').write();
    await world.tellPostgres(story);
    await world.tellRedis(story);
    const stale = forgeRecord(recordOf({ ...held, state: 'held' }));
    await world.redis.hset(holdKey('held', held.generation), 'held', stale);
    await world.redis.hdel(holdKey('kept', held.generation), 'kept');
    const report = await audit();
    expect(shown(report)).toEqual([]);
    expect(report.compared).toMatchObject({ holds: 1, reservations: 1, operations: 0 });
  });

  it('agree when the stream lost a tail that PostgreSQL has', async () => {
    const story = tell();
    const kept = story.written.length;
    story
      .reserve('a', [['TEA EU-1', 1]])
      .write()
      .commit('a')
      .write()
      .opened(EPOCH + 1);
    story.reserve('b', [['TEA EU-1', 1]]).write();
    await world.tellRedis(story);
    await world.tellPostgres(story);
    for (const { id } of story.entries.slice(kept, kept + 2)) {
      await world.redis.xdel(KEYS.log, `${id.epoch}-${id.seq}`);
    }
    const report = await audit();
    expect(shown(report)).toEqual([]);
    expect(report.log).toMatchObject({ complete: false, lost_from_stream: 2 });
    expect(renderAudit(report)).toContain('2 were lost with a tail of Redis');
    await world.redis.xdel(KEYS.log, `${EPOCH}-3`);
    expect(shown(await audit())).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^I5 entry \d+-3: PostgreSQL applied an entry that the log does not/),
      ]),
    );
  });

  it('agree on a record so big that it stands among the carts', async () => {
    const story = await tellBoth();
    const hold = story.holds.get('held');
    if (hold === undefined) throw new Error('the story has no hold');
    const bytes = forgeRecord(recordOf(hold));
    const head = Buffer.concat([Buffer.of(128 + 1), bytes.subarray(1, 13)]);
    const key = holdKey('held', story.day);
    await world.redis.hset(key, 'held', head);
    await world.redis.hset(key.replace(':hold:', ':cart:'), 'held', bytes);
    expect(shown(await audit())).toEqual([]);
    await world.redis.del(key.replace(':hold:', ':cart:'));
    expect(shown(await audit())).toEqual([
      expect.stringMatching(/^I4 reservation held: Redis lost the record/),
    ]);
  });
});

describe('Redis', () => {
  it.each<[string, (story: Story) => Promise<unknown>, RegExp]>([
    [
      'a balance that was changed by hand',
      () => {
        const cell = { available: 90, reserved: 3, allocated: 3, version: 7 };
        return world.redis.hset(KEYS.stock('TEA'), 'EU-1', forgeCell(cell));
      },
      /^I4 cell TEA EU-1: the balances differ at the same version|^I4 cell TEA EU-1: (Redis|Post)/,
    ],
    [
      'a lost cell',
      () => world.redis.hdel(KEYS.stock('CUP'), 'EU-1'),
      /^I4 cell CUP EU-1: Redis lost a cell/,
    ],
    [
      'a phantom cell',
      () => {
        const cell = { available: 5, reserved: 0, allocated: 0, version: 1 };
        return world.redis.hset(KEYS.stock('TEA'), 'EU-9', forgeCell(cell));
      },
      /^I5 cell TEA EU-9: Redis has a cell that PostgreSQL and the log do not know/,
    ],
    [
      'a phantom cell in a hash that lost the sign that its SKU is known',
      async () => {
        const cell = { available: 5, reserved: 0, allocated: 0, version: 1 };
        await world.redis.hdel(KEYS.stock('TEA'), '');
        return world.redis.hset(KEYS.stock('TEA'), 'EU-9', forgeCell(cell));
      },
      /^I5 cell TEA EU-9: Redis has a cell that PostgreSQL and the log do not know/,
    ],
    [
      'a phantom hold in the bucket of one that is lost',
      async (story) => {
        const hold = story.holds.get('held');
        if (hold === undefined) throw new Error('the story has no hold');
        const bytes = forgeRecord(recordOf({ ...hold, id: 'ghost' }));
        await world.redis.hdel(holdKey('held', story.day), 'held');
        return world.redis.hset(holdKey('held', story.day), 'ghost', bytes);
      },
      /^I5 reservation ghost: Redis has a reservation that PostgreSQL and the log do not know/,
    ],
    [
      'a phantom SKU',
      () => world.redis.hset(KEYS.stock('GHOST'), '', '1'),
      /^I5 SKU GHOST: Redis knows a SKU/,
    ],
    [
      'a lost hold',
      (story) => world.redis.hdel(holdKey('held', story.day), 'held'),
      /^I4 reservation held: Redis lost the record/,
    ],
    [
      'a lost tombstone',
      (story) => world.redis.hdel(holdKey('freed', story.day), 'freed'),
      /^I3 reservation freed: Redis lost the record/,
    ],
    [
      'a forgotten stock operation',
      (story) => world.redis.hdel(holdKey('op-1', story.day), 'op-1'),
      /^I3 stock operation op-1: Redis forgot that it was done/,
    ],
    [
      'a phantom hold',
      (story) => {
        const hold = story.holds.get('held');
        if (hold === undefined) throw new Error('the story has no hold');
        const bytes = forgeRecord(recordOf({ ...hold, id: 'ghost' }));
        return world.redis.hset(holdKey('ghost', story.day), 'ghost', bytes);
      },
      /^I5 reservation ghost: Redis has a reservation that PostgreSQL and the log do not know/,
    ],
    [
      'an expired hold that Redis still has',
      (story) => {
        const hold = story.holds.get('late');
        if (hold === undefined) throw new Error('the story has no late hold');
        const bytes = forgeRecord(recordOf({ ...hold, state: 'held' }));
        return world.redis.hset(holdKey('late', story.day), 'late', bytes);
      },
      /^I4 reservation late: state is held, expired expected/,
    ],
    [
      'a hold of fewer units',
      (story) => {
        const hold = story.holds.get('held');
        if (hold === undefined) throw new Error('the story has no hold');
        const bytes = forgeRecord(recordOf({ ...hold, units: hold.units.slice(1) }));
        return world.redis.hset(holdKey('held', story.day), 'held', bytes);
      },
      /^I4 reservation held: its units differ/,
    ],
    [
      'a hold in the wrong bucket',
      async (story) => {
        const bytes = await world.redis.hgetBuffer(holdKey('held', story.day), 'held');
        const id = Buffer.from(idBytes('held'));
        return world.redis.hset(KEYS.hold(story.day, 77), id, bytes ?? '');
      },
      /^I3 record of held: a retry looks in day \d+, bucket/,
    ],
    [
      'a key that is named like a bucket of records',
      () => world.redis.hset(`${KEYS.prefix}hold:stray`, '9 letters', 'x'),
      /^entry key hf:\{0\}:hold:stray: .* it is named like a bucket of records/,
    ],
    [
      'a record under its whole id, of which its bucket names a part',
      ({ day }) => {
        const id = `hf_${day.toString(16).padStart(4, '0')}${'0'.repeat(17)}5${'0'.repeat(10)}`;
        return world.redis.hset(KEYS.hold(day, 5), idBytes(id), 'rust');
      },
      /^entry field 01\w+ of day \d+, bucket 5: .* hf_\w+ is looked for under a part of it/,
    ],
    [
      'a hold that no deadline names',
      (story) => world.redis.del(KEYS.due(story.holds.get('held')?.deadlineS ?? 0)),
      /^I6 reservation held: a hold that nobody will expire/,
    ],
    [
      'a deadline that is in no list of seconds',
      () => world.redis.del(KEYS.deadlines),
      /^I6 reservation held: .*/,
    ],
    [
      'bytes that nobody can read',
      () => world.redis.hset(KEYS.stock('TEA'), 'EU-1', 'rust'),
      /^entry cell TEA EU-1: Redis holds bytes that nobody can read/,
    ],
    [
      'a lost tail',
      (story) => world.redis.hset(KEYS.meta, 'seq', story.last.seq - 1),
      /^I4 position: Redis stands before PostgreSQL/,
    ],
    [
      'a fork',
      () => world.redis.hset(KEYS.meta, 'nonce', Buffer.from('forkfork')),
      /^chain position: Redis and PostgreSQL stand at different entries/,
    ],
    [
      'a script that died half way',
      (story) => {
        story.reserve('half', [['TEA EU-1', 1]]).write();
        const id = `${EPOCH}-${story.last.seq}`;
        return world.redis.xadd(KEYS.log, id, 'e', story.written.at(-1) ?? '');
      },
      /^I4 position: an entry stands behind the position/,
    ],
    [
      'everything lost',
      () => world.redis.flushall(),
      /^I4 position: Redis stands before PostgreSQL/,
    ],
  ])('with %s is found', async (_name, bend, message) => {
    const story = await tellBoth();
    await bend(story);
    const report = await audit();
    expect(shown(report)).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
    expect(renderAudit(report)).toMatch(/\d+ differences?:/);
  });

  it('with a write that never reached the log is found', async () => {
    await tellBoth();
    const cell = { available: 87, reserved: 4, allocated: 3, version: 99 };
    await world.redis.hset(KEYS.stock('TEA'), 'EU-1', forgeCell(cell));
    expect(shown(await audit())).toEqual([
      'I4 cell TEA EU-1: PostgreSQL is behind: a write never reached the log',
    ]);
  });
});

/** Inserts a row that is there already, but for some columns. */
function copyRow(table: string, where: string, changed: object): string {
  const json = JSON.stringify(changed);
  return `INSERT INTO ${table} SELECT (jsonb_populate_record(t, '${json}')).* FROM ${table} t WHERE ${where}`;
}

describe('PostgreSQL', () => {
  it('has no say where the log knows a reservation otherwise', async () => {
    const story = await tellBoth();
    // Both stores were changed alike: only what the log adds up to knows better.
    const kept = story.holds.get('kept');
    if (kept === undefined) throw new Error('the story has no hold');
    const changed = forgeRecord(recordOf({ ...kept, version: kept.version + 1 }));
    await world.redis.hset(holdKey('kept', kept.generation), 'kept', changed);
    await world.pool.query(
      `UPDATE reservations SET version = version + 1 WHERE reservation_id = 'kept'`,
    );
    expect(shown(await audit())).toEqual([
      'I4 reservation kept: PostgreSQL is not what the log adds up to',
    ]);
  });

  it.each<[string, string, RegExp]>([
    [
      'a wrong balance',
      `UPDATE inventory SET available_qty = available_qty + 1 WHERE sku_id = 'CUP'`,
      /^I4 cell CUP EU-1: the ledger's movements sum to 7 available/,
    ],
    [
      'an oversell that the balance hides',
      `UPDATE inventory SET reserved_qty = 0 WHERE sku_id = 'CUP'`,
      /^I4 cell CUP EU-1: the lines of reservations sum to 1 reserved/,
    ],
    [
      'a lost cell',
      `DELETE FROM inventory WHERE sku_id = 'CUP'`,
      /^I5 cell CUP EU-1: Redis has a cell that PostgreSQL/,
    ],
    [
      'a phantom reservation',
      copyRow('reservations', `reservation_id = 'held'`, {
        reservation_id: 'ghost',
        created_epoch: 5,
        created_seq: 5,
        epoch: 5,
        seq: 5,
      }),
      /^I5 reservation ghost: no entry of the log made this reservation/,
    ],
    [
      'a lost reservation',
      `DELETE FROM reservations WHERE reservation_id = 'kept'`,
      /^I5 reservation kept: Redis has a reservation that PostgreSQL/,
    ],
    [
      'a reservation made twice',
      copyRow('reservations', `reservation_id = 'freed'`, { created_seq: 11 }),
      /^I3 reservation freed: the id was reserved twice within the idempotency window/,
    ],
    [
      'a stock operation made twice',
      copyRow('operations', `operation_id = 'op-1'`, { seq: 11 }),
      /^I3 stock operation op-1: the stock operation was done twice/,
    ],
    [
      'units of a reservation that is over',
      `UPDATE reservation_lines SET reserved = 1 WHERE reservation_id = 'kept'`,
      /^I7 reservation kept, line 0: the units of a line do not fit/,
    ],
    [
      'a lost entry',
      `DELETE FROM entries WHERE seq = 4`,
      /^I4 entry 4294967297-4: PostgreSQL stands behind this entry but never applied it/,
    ],
    [
      'a phantom entry',
      `INSERT INTO entries SELECT lane, epoch, 0, nonce, epoch, seq, nonce, 'opened', time_ms
       FROM entries WHERE seq = 1`,
      /^chain entry 4294967297-0: the entry does not follow on the one that was applied before/,
    ],
    [
      'entries behind the end of the log',
      `INSERT INTO entries SELECT lane, epoch + 1, 1, nonce, epoch, seq, nonce, 'opened', time_ms
       FROM entries WHERE seq = 10`,
      /^I5 entry 4294967298-1: PostgreSQL applied entries behind the end of the log/,
    ],
    [
      'a forked entry',
      `UPDATE entries SET nonce = '\\x0102030405060708' WHERE seq = 5`,
      /^chain entry 4294967297-5: PostgreSQL applied another entry of the same place/,
    ],
    [
      'a suspect cell',
      `UPDATE inventory SET suspect = 'available is off by 1' WHERE sku_id = 'CUP'`,
      /^I4 cell CUP EU-1: the persister marked the cell suspect: available is off by 1/,
    ],
    [
      'time that ran backwards',
      `UPDATE entries SET time_ms = 1 WHERE seq = 5`,
      /^time entry 4294967297-5: lane time went backwards/,
    ],
  ])('with %s is found', async (_name, sql, message) => {
    await tellBoth();
    await world.pool.query(sql);
    expect(shown(await audit())).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });

  it.each<[string, string, RegExp[]]>([
    [
      'a lost movement',
      `DELETE FROM stock_movements WHERE seq = 3 AND idx = 0`,
      [
        /^I4 entry 4294967297-3, cell TEA EU-1: the ledger lost the movements of the entry/,
        /^I4 cell TEA EU-1: the ledger's movements sum to -11 available/,
        /^I1 cell TEA EU-1: .* more than the 0 granted/,
      ],
    ],
    [
      'a movement too many',
      copyRow('stock_movements', 'seq = 3 AND idx = 0', { idx: 99, quantity: 2 }),
      [/^I4 entry 4294967297-3, cell TEA EU-1: the movements in the ledger are not what the entry/],
    ],
    [
      'a movement of no entry',
      copyRow('stock_movements', 'seq = 3 AND idx = 0', { seq: 999 }),
      [/^I5 movement 0-4294967297-999-0: no entry of the log made this movement/],
    ],
    [
      'a movement to nowhere',
      `UPDATE stock_movements SET dest_location = 'somewhere' WHERE seq = 3 AND idx = 0`,
      [/^I4 movement 0-4294967297-3-0: a movement must have a location on both sides/],
    ],
  ])('with %s is found', async (_name, sql, messages) => {
    await tellBoth();
    await tamperWithLedger(sql);
    const differences = shown(await audit());
    for (const message of messages) {
      expect(differences).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
    }
  });
});

describe('the log', () => {
  it('that is wrong in itself is found, though the stores agree', async () => {
    const story = tell();
    // Both stores did what the log says; only the fold knows that no clock had come so far.
    story.expire('held').write();
    await world.tellRedis(story);
    await world.tellPostgres(story);
    expect(shown(await audit())).toEqual([
      `I7 entry ${EPOCH}-${story.last.seq}, held: the log itself is wrong`,
    ]);
  });

  it('that is trimmed past what PostgreSQL has is found', async () => {
    const story = tell();
    await world.tellPostgres(story);
    story
      .reserve('a', [['TEA EU-1', 1]])
      .write()
      .reserve('b', [['TEA EU-1', 1]])
      .write();
    await world.tellRedis(story);
    await world.redis.xtrim(KEYS.log, 'MINID', `${EPOCH}-${story.last.seq}`);
    expect(shown(await audit())).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^chain lane 0: Redis cannot be compared, its log does not lead/),
      ]),
    );
  });

  it('with an entry that nobody can read is found, and the rest is compared', async () => {
    const story = await tellBoth();
    await world.redis.xtrim(KEYS.log, 'MINID', `${EPOCH}-${story.last.seq}`);
    await world.redis.hset(KEYS.meta, 'seq', story.last.seq + 1);
    await world.redis.xadd(KEYS.log, `${EPOCH}-${story.last.seq + 1}`, 'e', 'rust');
    expect(shown(await audit())).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^I8 lane 0/),
        expect.stringMatching(/^entry lane 0: Redis cannot be compared/),
      ]),
    );
  });

  it('keeps the first differences and counts them all', async () => {
    await tellBoth();
    await world.redis.del(KEYS.stock('TEA'), KEYS.stock('CUP'));
    const report = await audit({ differencesMax: 2 });
    expect(report.differences).toHaveLength(2);
    expect(report.difference_count).toBeGreaterThan(2);
    expect(renderAudit(report)).toContain(`... and ${report.difference_count - 2} more`);
  });
});
