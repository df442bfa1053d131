/** What a connection of the persister begins with: its temporary tables, and its statements, prepared. */
import { readSql } from './sql-files.ts';

/** Parsed once for a connection, and planned once: both together take PostgreSQL a millisecond. */
export const SESSION = [
  readSql('session.sql'),
  `PREPARE move_position AS ${readSql('position.sql')}`,
  `PREPARE settle AS ${readSql('settle.sql')}`,
  `PREPARE merge_cells AS ${readSql('cells.sql')}`,
].join(';\n');
