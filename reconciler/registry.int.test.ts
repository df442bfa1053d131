/** The registry on a real PostgreSQL: compare-and-set under contention, roles, promotions. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NEVER } from '../engine/events/entry.ts';
import { startPostgres } from '../engine/testing/servers.ts';
import { migrate } from '../persister/migrate.ts';
import {
  type MigratedDatabase,
  migratedDatabase,
  openPool,
} from '../persister/testing/database.ts';
import { Journal } from './journal.ts';
import { Registry } from './registry.ts';
import { packTerm, showTerm } from './term.ts';
import { copyStandby, promote } from './testing/promotion.ts';

const LANE = 0;
let database: MigratedDatabase;
let registry: Registry;

beforeAll(async () => {
  database = await migratedDatabase();
  registry = new Registry(database.pool);
});
afterAll(() => database.end());
beforeEach(async () => {
  await database.pool.query(`UPDATE lanes SET term = 0, state = 'new'`);
  await database.pool.query(`UPDATE positions SET term = 0, epoch = 0, seq = 0, parked = NULL`);
  await database.pool.query('DELETE FROM recoveries');
});

async function nextTerm(): Promise<number> {
  const term = await registry.nextTerm(await registry.read(LANE));
  if (term === undefined) throw new Error('no term was had');
  return term;
}

/** As the fence does: PostgreSQL's position carries the term. */
async function carryTerm(term: number): Promise<void> {
  await database.pool.query('UPDATE positions SET term = $1 WHERE lane = $2', [term, LANE]);
}

describe('the registry', () => {
  it('starts at new, without a term, at the position of an empty PostgreSQL', async () => {
    expect(await registry.read(LANE)).toMatchObject({
      term: 0,
      state: 'new',
      timeline: 1,
      position: { term: 0, epoch: 0, seq: 0 },
    });
  });

  it('names what to do when the lane is not there', async () => {
    await expect(registry.read(7)).rejects.toThrow(/no lane 7.*holdfast migrate/);
  });

  it('burns the number of a recovery that failed', async () => {
    expect(showTerm(await nextTerm())).toBe('1.1');
    expect(showTerm(await nextTerm())).toBe('1.2');
    expect(await registry.read(LANE)).toMatchObject({ term: packTerm(1, 2), state: 'recovering' });
  });

  it('gives one of many that saw the same the number, and the others nothing', async () => {
    for (let round = 1; round <= 10; round++) {
      const seen = await registry.read(LANE);
      const terms = await Promise.all(Array.from({ length: 8 }, () => registry.nextTerm(seen)));
      expect(terms.filter((term) => term !== undefined)).toEqual([packTerm(1, round)]);
    }
  });

  it('opens only the newest term, once, over the head that was copied', async () => {
    const older = await nextTerm();
    const term = await nextTerm();
    await carryTerm(term);
    expect(await registry.open(LANE, older, NEVER)).toBe(false);
    expect(await registry.open(LANE, term, { ...NEVER, epoch: 1, seq: 1 })).toBe(false);
    expect(await registry.open(LANE, term, { ...NEVER, nonce: Buffer.alloc(8, 1) })).toBe(false);
    expect(await registry.open(LANE, term, NEVER)).toBe(true);
    expect(await registry.open(LANE, term, NEVER)).toBe(false);
    expect(await registry.read(LANE)).toMatchObject({ term, state: 'open' });
  });

  it('does not open while PostgreSQL carries another term', async () => {
    const term = await nextTerm();
    expect(await registry.open(LANE, term, NEVER)).toBe(false);
    await carryTerm(term + 1);
    expect(await registry.open(LANE, term, NEVER)).toBe(false);
  });

  it('parks only the newest term, and gives no number until somebody unparks', async () => {
    const older = await nextTerm();
    const term = await nextTerm();
    const journal = new Journal(database.pool, LANE, term);
    await journal.begin({ cause: 'no_meta', detectedMs: performance.now(), leader: 'test' });
    expect(await registry.park(LANE, older)).toBe(false);
    expect(await registry.park(LANE, term)).toBe(true);
    await journal.end('parked: PostgreSQL is behind');
    const parked = await registry.read(LANE);
    expect(parked).toMatchObject({ state: 'parked', outcome: 'parked: PostgreSQL is behind' });
    expect(await registry.nextTerm(parked)).toBeUndefined();
    expect(await registry.unpark(await registry.read(LANE))).toBe(true);
    expect(await registry.unpark(await registry.read(LANE))).toBe(false);
    expect(showTerm(await nextTerm())).toBe('1.3');
  });

  it('unparks above a term that others gave, once, and only as it was seen', async () => {
    const term = await nextTerm();
    await registry.park(LANE, term);
    const seen = await registry.read(LANE);
    expect(await registry.unpark({ ...seen, term: term - 1 }, packTerm(1, 50))).toBe(false);
    expect((await registry.read(LANE)).state).toBe('parked');
    expect(await registry.unpark(seen, packTerm(1, 50))).toBe(true);
    // Somebody who had seen the same comes too late.
    expect(await registry.unpark(seen, packTerm(1, 90))).toBe(false);
    expect(showTerm(await nextTerm())).toBe('1.51');
  });

  it('never unparks to a lower number, nor below what PostgreSQL has read', async () => {
    for (let i = 0; i < 3; i++) await nextTerm();
    await registry.park(LANE, packTerm(1, 3));
    expect(await registry.unpark(await registry.read(LANE), packTerm(1, 2))).toBe(true);
    const term = await nextTerm();
    expect(showTerm(term)).toBe('1.4');
    await carryTerm(packTerm(1, 8));
    await registry.park(LANE, term);
    expect(await registry.unpark(await registry.read(LANE), packTerm(1, 6))).toBe(true);
    expect(showTerm(await nextTerm())).toBe('1.9');
  });

  it('unparks what the persister has stopped too', async () => {
    await database.pool.query(`UPDATE positions SET parked = 'entry 3-1 cannot be read'`);
    expect((await registry.read(LANE)).position.parked).toBe('entry 3-1 cannot be read');
    expect(await registry.unpark(await registry.read(LANE))).toBe(true);
    expect((await registry.read(LANE)).position.parked).toBeUndefined();
  });

  it('shows a sign of life of the newest recovery only', async () => {
    const older = await nextTerm();
    const term = await nextTerm();
    const before = await registry.read(LANE);
    expect(await registry.touch(LANE, older)).toBe(false);
    expect(await registry.touch(LANE, term)).toBe(true);
    expect((await registry.read(LANE)).changedAt).not.toBe(before.changedAt);
  });
});

describe('the timeline', () => {
  const ALLOWED = [
    { revoked: [], warning: undefined },
    { revoked: ['pg_walfile_name(pg_lsn)'], warning: /only after its next checkpoint/ },
    {
      revoked: ['pg_walfile_name(pg_lsn)', 'pg_control_checkpoint()'],
      warning: /is not seen.*holdfast recover/,
    },
  ];

  it.each(ALLOWED)(
    'is known to an ordinary role without $revoked',
    async ({ revoked, warning }) => {
      const role = `ordinary_${process.pid}`;
      const { pool } = database;
      await pool.query(`CREATE ROLE ${role} LOGIN`);
      await pool.query(`GRANT SELECT, UPDATE ON lanes, positions, recoveries TO ${role}`);
      for (const name of revoked)
        await pool.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
      const url = new URL(database.url);
      url.username = role;
      const ordinary = openPool(url.href);
      try {
        const own = new Registry(ordinary);
        const text = await own.warning();
        if (warning === undefined) expect(text).toBeUndefined();
        else expect(text).toMatch(warning);
        expect(showTerm((await own.nextTerm(await own.read(LANE))) ?? 0)).toBe('1.1');
      } finally {
        await ordinary.end();
        for (const name of revoked) await pool.query(`GRANT EXECUTE ON FUNCTION ${name} TO PUBLIC`);
        await pool.query(`DROP OWNED BY ${role}`);
        await pool.query(`DROP ROLE ${role}`);
      }
    },
  );

  it('rises with a standby that is promoted behind: no number is given twice', async () => {
    const postgres = await startPostgres();
    let pool = openPool(postgres.url);
    await migrate(pool);
    await pool.end();

    // The standby has seen the first recovery, and not the second.
    const first = await termOf(postgres.url);
    const standby = await copyStandby(postgres);
    const lost = await termOf(postgres.url);
    expect([showTerm(first), showTerm(lost)]).toEqual(['1.1', '1.2']);

    await promote(postgres, standby);
    pool = openPool(postgres.url);
    const promoted = new Registry(pool);
    const seen = await promoted.read(LANE);
    expect(seen).toMatchObject({ term: first, timeline: 2 });
    // A recovery that began before the promotion cannot open any more.
    await pool.query('UPDATE positions SET term = $1', [first]);
    expect(await promoted.open(LANE, first, NEVER)).toBe(false);
    // A look from before the promotion does not count either.
    expect(await promoted.nextTerm({ ...seen, timeline: 1 })).toBeUndefined();
    expect(showTerm((await promoted.nextTerm(seen)) ?? 0)).toBe('2.2');
    await pool.end();
    await postgres.stop();
  });
});

async function termOf(url: string): Promise<number> {
  const pool = openPool(url);
  const own = new Registry(pool);
  const term = await own.nextTerm(await own.read(LANE));
  await pool.end();
  return term ?? 0;
}
