/** Whether PostgreSQL keeps what it commits, as `persisted` promises (and, embedded, `logged`). */
import type { Finding } from '../runtime/finding.ts';
import type { Pool } from './pool.ts';

export const POSTGRES_VERSION_MIN = 15;

export interface PostgresFacts {
  readonly where: string;
  readonly version: number;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  /** Standbys that stream from it, and whether commits wait for one. */
  readonly standbys: number;
  readonly synchronousStandbys: string;
}

/** As a session of ours sees it, settings of its role and database included. */
export async function readPostgresFacts(pool: Pool): Promise<PostgresFacts> {
  const { rows } = await pool.query<Record<string, string | null>>(
    `SELECT current_setting('server_version_num') AS version,
            current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS synchronous_commit,
            current_setting('full_page_writes') AS full_page_writes,
            current_setting('synchronous_standby_names') AS synchronous_standbys,
            (SELECT count(*)::text FROM pg_stat_replication) AS standbys,
            coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port(), 0)
              || '/' || current_database() AS place`,
  );
  const row = rows[0] ?? {};
  const text = (name: string): string => row[name] ?? '';
  return {
    where: `PostgreSQL ${text('place')}`,
    version: Math.floor(Number(text('version')) / 10_000),
    fsync: text('fsync'),
    synchronousCommit: text('synchronous_commit'),
    fullPageWrites: text('full_page_writes'),
    standbys: Number(text('standbys')),
    synchronousStandbys: text('synchronous_standbys'),
  };
}

export function judgePostgres(facts: PostgresFacts): Finding[] {
  const findings: Omit<Finding, 'where'>[] = [];
  if (facts.version < POSTGRES_VERSION_MIN) {
    findings.push({
      severity: 'error',
      what: `is version ${facts.version}; ${POSTGRES_VERSION_MIN} or newer is needed`,
      why: 'the schema and the merges are written for it',
      mend: `upgrade it to PostgreSQL ${POSTGRES_VERSION_MIN} or newer`,
    });
  }
  if (facts.fsync !== 'on') {
    findings.push({
      severity: 'error',
      what: 'fsync is off',
      why: 'what was answered as persisted, and the whole database with it, may be lost with the machine',
      mend: "psql -c 'ALTER SYSTEM SET fsync = on' -c 'SELECT pg_reload_conf()'",
    });
  }
  if (facts.synchronousCommit === 'off') {
    findings.push({
      severity: 'error',
      what: 'synchronous_commit is off',
      why: 'what was answered as persisted may be lost when PostgreSQL crashes',
      mend: "psql -c 'ALTER SYSTEM SET synchronous_commit = on' -c 'SELECT pg_reload_conf()'   (and look at ALTER ROLE and ALTER DATABASE)",
    });
  }
  if (facts.fullPageWrites !== 'on') {
    findings.push({
      severity: 'warning',
      what: 'full_page_writes is off',
      why: 'a page that was half written when the machine failed stays torn, unless the file system prevents it',
      mend: "psql -c 'ALTER SYSTEM SET full_page_writes = on' -c 'SELECT pg_reload_conf()'",
    });
  }
  if (facts.standbys > 0 && facts.synchronousStandbys === '') {
    findings.push({
      severity: 'warning',
      what: `has ${facts.standbys} asynchronous standby${facts.standbys === 1 ? '' : 's'}`,
      why: 'one that is promoted may lack the last commits: with Kafka they are applied again from the log, with the embedded log they may be lost',
      mend: "psql -c \"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'\" -c 'SELECT pg_reload_conf()'",
    });
  }
  return findings.map((finding) => ({ where: facts.where, ...finding }));
}
