/**
 * A PostgreSQL primary and a standby that streams from it, for tests in which the standby takes
 * over, also one that is behind. The primary is neither stopped nor told of a promotion: that is
 * the test's to do, or not.
 */
import { Client } from 'pg';
import { waitFor } from '../../deploy/local/deadline.ts';
import { pairUrl } from '../../deploy/local/postgres-pair.ts';
import { startPostgres, type TestPostgres } from './servers.ts';

export interface TestPostgresPair {
  /** Names both hosts, as libpq spells it. */
  readonly url: string;
  readonly primary: TestPostgres;
  readonly standby: TestPostgres;
  /**
   * Cuts the standby off: it has everything that was committed before the call, and nothing that is
   * committed after it resolved.
   */
  pauseReplay(): Promise<void>;
  /** The standby goes on following the primary; resolves when it has caught up. */
  resumeReplay(): Promise<void>;
  /** Makes the standby a primary, on a new timeline; resolves when it takes writes. */
  promote(): Promise<void>;
  stop(): Promise<void>;
}

const CATCH_UP_TIMEOUT_MS = 60_000;
const PROMOTE_TIMEOUT_S = 60;

export async function startPostgresPair(): Promise<TestPostgresPair> {
  const primary = await startPostgres();
  const standby = await startPostgres({ primaryPort: primary.port });
  return {
    url: pairUrl([primary.port, standby.port]),
    primary,
    standby,
    pauseReplay: async () => {
      await catchUp(primary, standby);
      // A pause of replay alone would not do: a promotion replays whatever has been received.
      await query(standby, `ALTER SYSTEM SET primary_conninfo = ''`);
      await query(standby, 'SELECT pg_reload_conf()');
      await until('the standby did not stop receiving', async () => {
        return (await query(standby, 'SELECT count(*) FROM pg_stat_wal_receiver')) === '0';
      });
    },
    resumeReplay: async () => {
      await standby.restart();
      await catchUp(primary, standby);
    },
    promote: async () => {
      const isPromoted = await query(standby, `SELECT pg_promote(true, ${PROMOTE_TIMEOUT_S})`);
      if (isPromoted !== true) throw new Error('the standby was not promoted in time');
    },
    stop: async () => {
      await Promise.all([standby.stop(), primary.stop()]);
    },
  };
}

/** Waits until the standby has replayed what the primary has committed by now. */
async function catchUp(primary: TestPostgres, standby: TestPostgres): Promise<void> {
  const position = String(await query(primary, 'SELECT pg_current_wal_lsn()'));
  await until(`the standby did not reach ${position}`, async () => {
    const isThere = `SELECT pg_last_wal_replay_lsn() >= '${position}'::pg_lsn`;
    return (await query(standby, isThere)) === true;
  });
}

async function until(failure: string, probe: () => Promise<boolean>): Promise<void> {
  const isDone = await waitFor(async () => (await probe()) || undefined, CATCH_UP_TIMEOUT_MS);
  if (isDone === undefined) throw new Error(`${failure} in ${CATCH_UP_TIMEOUT_MS / 1000} s`);
}

/** The first value of the first row. */
async function query(server: TestPostgres, text: string): Promise<unknown> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return Object.values((await client.query(text)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}
