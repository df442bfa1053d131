/** What a connection of the persister begins with: its settings, and its statements, prepared. */
import { BATCH_ROWS } from './merge-columns.ts';
import { readSql } from './sql-files.ts';

/** Parsed once for a connection, and planned once: both together take PostgreSQL a millisecond. */
export const SESSION = [
  readSql('session.sql'),
  `PREPARE move_position AS ${readSql('position.sql')}`,
  `PREPARE merge AS WITH ${BATCH_ROWS}, ${readSql('merge.sql')}`,
].join(';\n');
