/**
 * SQL stands in files, which the compiler does not copy beside the compiled code: they are found
 * from the root of the package, whether this module runs from its source or from `dist`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of `persister/<name>`. */
export function persisterPath(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return join(folder, 'persister', name);
    if (folder === dirname(folder)) {
      throw new Error(`no package.json above ${import.meta.url}: persister/${name} is not found`);
    }
  }
}

/** Text of a statement of `persister/sql`. */
export function readSql(name: string): string {
  return readFileSync(persisterPath(join('sql', name)), 'utf8');
}
