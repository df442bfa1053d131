/** The schema of a database as text that depends on nothing but the migrations. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { onPath } from '../../deploy/local/find-programs.ts';

/** Comments, session settings and pg_dump's own guards say which release wrote the dump. */
const NOISE = /^(--|SET |SELECT pg_catalog\.set_config|\\restrict|\\unrestrict)/;
/** PostgreSQL before 16 names the table before each column of a view. */
const VIEW = /^CREATE VIEW [^;]*;/gm;
const QUALIFIED_COLUMN = /\b(?!public\b|pg_catalog\b)\w+\.(\w+)/g;

export async function dumpSchema(url: string): Promise<string> {
  const program = onPath('pg_dump', process.env);
  if (program === undefined) throw new Error("pg_dump is not in PATH: install PostgreSQL's client");
  const { stdout } = await promisify(execFile)(program, [
    '--schema-only',
    '--no-owner',
    '--no-privileges',
    url,
  ]);
  const text = stdout
    .split('\n')
    .filter((line) => !NOISE.test(line))
    .join('\n')
    .replace(VIEW, (view) => view.replace(QUALIFIED_COLUMN, '$1'))
    .replace(/\n{3,}/g, '\n\n');
  return `${text.trim()}\n`;
}
