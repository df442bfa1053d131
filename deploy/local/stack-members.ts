/**
 * Which stores the stack of a directory consisted of when it last came up, and where. What of it has
 * died since is thereby told apart from what was never a part: a Kafka that was killed is a log that
 * does not answer, not a log that stands in Redis.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { STORE_NAMES, type StoreName } from './stack-servers.ts';

/** What each store's variable would say; those that the environment named are not in it. */
type StackMembers = Readonly<Partial<Record<StoreName, string>>>;

const FILE = 'stack.json';

/** Written under another name first: a crash in the middle must not leave half a file. */
export function writeMembers(directory: string, members: StackMembers): void {
  const path = join(directory, FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(members, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/** Nothing where the stack never came up, or the file cannot be read. */
export function readMembers(directory: string): StackMembers {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(directory, FILE), 'utf8'));
    const said = Object.entries(typeof parsed === 'object' && parsed !== null ? parsed : {});
    return Object.fromEntries(
      said.filter(
        ([name, url]) => typeof url === 'string' && STORE_NAMES.some((store) => store === name),
      ),
    );
  } catch {
    return {};
  }
}
