/**
 * Which stores the stack of a directory consisted of when it last came up, and where. What of it has
 * died since is thereby told apart from what was never a part: a Kafka that was killed is a log that
 * does not answer, not a log that stands in Redis.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fromEnvironment, STORE_NAMES, type StoreName, VARIABLES } from './stack-servers.ts';

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

/**
 * The environment without those variables that name this very stack, as `holdfast stack env` gives
 * them to a shell: they name its own servers, which are started and looked at, and nobody else's.
 */
export function withoutOwn(directory: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const members = readMembers(resolve(directory));
  const isOwn = (store: StoreName): boolean => {
    const [named, member] = [fromEnvironment(VARIABLES[store], env), members[store]];
    return named !== undefined && member !== undefined && serversIn(named) === serversIn(member);
  };
  const own = STORE_NAMES.filter(isOwn).map((store) => VARIABLES[store]);
  return { ...env, ...Object.fromEntries(own.map((variable) => [variable, undefined])) };
}

/** Apart from the query; the hosts of a pair in any order, as a standby that was promoted leads. */
function serversIn(url: string): string {
  const [servers = ''] = url.split('?');
  return servers.split(/[/@,]/).sort().join(' ');
}
