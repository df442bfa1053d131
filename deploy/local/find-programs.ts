/**
 * Finds the programs that the stack runs, in PATH and in the places where packagers put them
 * without telling PATH, and refuses versions that are too old to work.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

export const REDIS_VERSION_MIN = 7;
export const POSTGRES_VERSION_MIN = 15;
export const JAVA_VERSION_MIN = 17;

/** Debian keeps PostgreSQL's server programs out of PATH, Homebrew its versioned formulas. */
const POSTGRES_PARENTS = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/usr'];
/** Homebrew's OpenJDK is not linked into the system; macOS has a `java` stub that only asks to install one. */
const JAVA_DIRECTORIES = ['/opt/homebrew/opt/openjdk/bin', '/usr/local/opt/openjdk/bin'];
const VERSION_TIMEOUT_MS = 10_000;

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  /** Copies a running primary into a standby. */
  readonly basebackup: string;
}

/** The server that `HOLDFAST_REDIS_SERVER` names, else redis-server or valkey-server from PATH. */
export function findRedisServer(env: NodeJS.ProcessEnv): string | undefined {
  const named = env.HOLDFAST_REDIS_SERVER;
  if (named !== undefined && named !== '') {
    const path = named.includes('/') ? named : onPath(named, env);
    if (path !== undefined && isExecutable(path)) return path;
    throw new Error(
      `HOLDFAST_REDIS_SERVER names ${named}, which is not an executable file; correct it or unset it`,
    );
  }
  return ['redis-server', 'valkey-server']
    .map((name) => onPath(name, env))
    .find((path) => path !== undefined && hasVersion(path, ['--version'], REDIS_VERSION_MIN));
}

export function findPostgres(env: NodeJS.ProcessEnv): PostgresPrograms | undefined {
  const onPathPrograms = onPath('postgres', env);
  const directories = [
    ...(onPathPrograms === undefined ? [] : [join(onPathPrograms, '..')]),
    ...POSTGRES_PARENTS.flatMap(postgresDirectories),
  ];
  return directories
    .map((directory) => ({
      initdb: join(directory, 'initdb'),
      postgres: join(directory, 'postgres'),
      basebackup: basebackupBeside(join(directory, 'postgres')),
    }))
    .find(
      ({ initdb, postgres }) =>
        isExecutable(initdb) &&
        isExecutable(postgres) &&
        hasVersion(postgres, ['--version'], POSTGRES_VERSION_MIN),
    );
}

/** Where PATH has a link to `postgres` alone, the other programs stand beside what it links to. */
function basebackupBeside(postgres: string): string {
  const found = [postgres, realPath(postgres)]
    .map((path) => join(dirname(path), 'pg_basebackup'))
    .find(isExecutable);
  return found ?? 'pg_basebackup';
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

export function findJava(env: NodeJS.ProcessEnv): string | undefined {
  const candidates = [
    ...(env.JAVA_HOME === undefined ? [] : [join(env.JAVA_HOME, 'bin', 'java')]),
    onPath('java', env),
    ...JAVA_DIRECTORIES.map((directory) => join(directory, 'java')),
  ];
  return candidates.find(
    (path) =>
      path !== undefined && isExecutable(path) && hasVersion(path, ['-version'], JAVA_VERSION_MIN),
  );
}

export function findMaven(env: NodeJS.ProcessEnv): string | undefined {
  return onPath('mvn', env);
}

/** The first number of `Redis server v=7.0.15`, `postgres (PostgreSQL) 15.9`, `openjdk version "17.0.15"`. */
export function majorVersion(text: string): number | undefined {
  const match = /(?:v=|\) |version "|^)(\d+)/m.exec(text);
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 10);
}

export function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function hasVersion(path: string, args: readonly string[], versionMin: number): boolean {
  const result = spawnSync(path, [...args], { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS });
  const version = majorVersion(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return result.status === 0 && version !== undefined && version >= versionMin;
}

/** `15/bin`, `postgresql@16/bin`, `pgsql-17/bin` below a parent, the newest first. */
function postgresDirectories(parent: string): string[] {
  return entriesOf(parent)
    .map((name) => ({ name, version: /^(?:postgresql@|pgsql-)?(\d+)$/.exec(name)?.[1] }))
    .filter((entry) => entry.version !== undefined)
    .sort((a, b) => Number(b.version) - Number(a.version))
    .map((entry) => join(parent, entry.name, 'bin'));
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
