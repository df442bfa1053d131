/**
 * On which timeline does PostgreSQL write? It rises by one whenever a standby is promoted, which is
 * how recovery notices that the registry may have gone back (see term.ts).
 *
 * Asked in this order, each open to an ordinary role unless somebody revoked it:
 * - the name of the WAL file that is being written: right from the moment of promotion;
 * - the control file: as of the last checkpoint, so it may be a few minutes late;
 * - neither: then the highest timeline of the registry itself, which never notices a promotion.
 */

/** What asks: a pool, or one connection. */
interface Asker {
  query(text: string): Promise<unknown>;
}

export interface TimelineSource {
  /** SQL that gives the timeline as an integer. */
  readonly expression: string;
  /** What cannot be told with this source, for people. */
  readonly warning?: string;
}

const WAL_FILE: TimelineSource = {
  expression: `('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer`,
};
const CONTROL_FILE: TimelineSource = {
  expression: '(SELECT timeline_id FROM pg_control_checkpoint())',
  warning:
    'pg_walfile_name() is not to be had, so the promotion of a PostgreSQL standby is seen only after its next checkpoint; grant EXECUTE on pg_walfile_name(pg_lsn) and pg_current_wal_lsn()',
};
const REGISTRY_ONLY: TimelineSource = {
  expression: '(SELECT greatest(1, max(term) >> 32)::integer FROM lanes)',
  warning:
    'neither pg_walfile_name() nor pg_control_checkpoint() may be called, so the promotion of a PostgreSQL standby is not seen: after one, run `holdfast recover`; grant EXECUTE on one of them',
};

/** insufficient_privilege, undefined_function, feature_not_supported. */
const NOT_TO_BE_HAD: ReadonlySet<unknown> = new Set(['42501', '42883', '0A000']);

/**
 * Tries them against the server. A server in recovery (a standby) refuses the first with another
 * error, which is thrown: no registry is kept there.
 */
export async function findTimelineSource(asker: Asker): Promise<TimelineSource> {
  for (const source of [WAL_FILE, CONTROL_FILE]) {
    try {
      await asker.query(`SELECT ${source.expression}`);
      return source;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (!NOT_TO_BE_HAD.has(code)) throw error;
    }
  }
  return REGISTRY_ONLY;
}
