import { expect, it } from 'vitest';
import { testDatabase } from '../testing/servers.ts';
import { createPool } from './pool.ts';
import { judgePostgres, type PostgresFacts, readPostgresFacts } from './settings-check.ts';

const good: PostgresFacts = {
  where: 'PostgreSQL here',
  version: 15,
  fsync: 'on',
  synchronousCommit: 'on',
  fullPageWrites: 'on',
  standbys: 0,
  synchronousStandbys: '',
};
const words = (facts: PostgresFacts) =>
  judgePostgres(facts).map(({ severity, what }) => `${severity}: ${what}`);

it('finds what makes a commit less than it says', () => {
  expect(words(good)).toEqual([]);
  expect(words({ ...good, standbys: 1, synchronousStandbys: 'ANY 1 (*)' })).toEqual([]);
  expect(words({ ...good, version: 12 })).toEqual(['error: is version 12; 15 or newer is needed']);
  expect(words({ ...good, synchronousCommit: 'off' })).toEqual([
    'error: synchronous_commit is off',
  ]);
  expect(words({ ...good, standbys: 1 })).toEqual(['warning: has 1 asynchronous standby']);
});

it('reads what a session of ours sees', async () => {
  const database = await testDatabase();
  const pool = createPool({
    url: database.url,
    applicationName: 'test',
    connectionsMax: 1,
    onIdleError: () => undefined,
    settings: { synchronous_commit: 'off' },
  });
  try {
    // The server of the tests itself runs without fsync.
    expect(words(await readPostgresFacts(pool))).toEqual([
      'error: fsync is off',
      'error: synchronous_commit is off',
      'warning: full_page_writes is off',
    ]);
  } finally {
    await pool.end();
    await database.drop();
  }
});
