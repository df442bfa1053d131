/** The registry's row of a lane, as everyone but recovery reads it. */
import type { Reader } from './reader.ts';

export interface RegistryRow {
  readonly term: number;
  readonly state: string;
}

/** Throws when the lane has no row: the migrations make it. */
export async function readRegistryRow(db: Reader, lane: number): Promise<RegistryRow> {
  const { rows } = await db.query<RegistryRow>('SELECT term, state FROM lanes WHERE lane = $1', [
    lane,
  ]);
  const row = rows[0];
  if (row === undefined) {
    throw new Error(`PostgreSQL has no registry row for lane ${lane}: run \`holdfast migrate\``);
  }
  return row;
}
