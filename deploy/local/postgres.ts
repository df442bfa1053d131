/**
 * A local PostgreSQL: a cluster made once with initdb, then reused. Loopback only, without
 * passwords (`trust`) and without Unix sockets, whose paths may not be longer than 107 bytes.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findPostgres, POSTGRES_VERSION_MIN } from './find-programs.ts';
import type { ServerCommand } from './server-process.ts';
import { canReach, type UnprivilegedUser, unprivilegedUser } from './unprivileged-user.ts';

export const POSTGRES_USER = 'holdfast';
export const POSTGRES_DATABASE = 'holdfast';

/** After a crash the write-ahead log is replayed before PostgreSQL answers. */
const READY_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;
const DUPLICATE_DATABASE = '42P04';

export interface PostgresOptions {
  readonly directory: string;
  readonly port: number;
  /** Further settings, as `['fsync=off']`. The last one wins. */
  readonly settings?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export function postgresUrl(port: number, database = POSTGRES_DATABASE): string {
  return `postgresql://${POSTGRES_USER}@127.0.0.1:${port}/${database}`;
}

/** Makes the cluster when the directory has none, and says how its server is started. */
export async function postgresCommand(options: PostgresOptions): Promise<ServerCommand> {
  const programs = findPostgres(options.env ?? process.env);
  if (programs === undefined) {
    throw new Error(`there is no PostgreSQL ${POSTGRES_VERSION_MIN} or newer on this machine`);
  }
  const user = unprivilegedUser();
  mkdirSync(options.directory, { recursive: true });
  const cluster = clusterDirectory(options.directory, user);
  if (!existsSync(join(cluster, 'PG_VERSION'))) await initialise(programs.initdb, cluster, user);
  const settings = [
    `port=${options.port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    ...(options.settings ?? []),
  ];
  return {
    title: 'PostgreSQL',
    command: programs.postgres,
    args: ['-D', cluster, ...settings.flatMap((setting) => ['-c', setting])],
    directory: options.directory,
    port: options.port,
    user,
    isReady: () => hasDatabase(options.port),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
}

/**
 * Where the cluster stands: `cluster` in the server's directory. When we are root and that lies
 * below a directory that PostgreSQL's user may not enter (a checkout in root's home), it stands
 * in /var/tmp and `cluster` is a link to it.
 */
function clusterDirectory(directory: string, user: UnprivilegedUser | undefined): string {
  const inside = join(directory, 'cluster');
  if (user === undefined || canReach(user, directory)) return inside;
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const outside = join('/var/tmp', `holdfast-postgres-${hash}`);
  const link = lstatSync(inside, { throwIfNoEntry: false });
  if (!(link?.isSymbolicLink() && readlinkSync(inside) === outside)) {
    rmSync(inside, { recursive: true, force: true });
    // Without the link, what stands outside belonged to a stack whose directory was deleted.
    rmSync(outside, { recursive: true, force: true });
    symlinkSync(outside, inside);
  }
  return outside;
}

/** Runs initdb in a directory of its own, renamed at the end: half a cluster is never taken for one. */
async function initialise(
  initdb: string,
  cluster: string,
  user: UnprivilegedUser | undefined,
): Promise<void> {
  const draft = `${cluster}.new`;
  for (const path of [draft, cluster]) rmSync(path, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  if (user !== undefined) chownSync(draft, user.uid, user.gid);
  // Locale C exists everywhere, and sorts ids by their bytes as JavaScript and Redis do.
  const args = ['-D', draft, '-U', POSTGRES_USER, '--auth=trust', '--locale=C', '-E', 'UTF8'];
  try {
    await promisify(execFile)(initdb, [...args, '--no-sync'], {
      cwd: '/',
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`initdb could not make a PostgreSQL cluster in ${cluster}: ${reason}`);
  }
  renameSync(draft, cluster);
}

/** Ready means: it takes connections, and our database is there (it is made when it is not). */
async function hasDatabase(port: number): Promise<boolean> {
  const client = new Client({
    connectionString: postgresUrl(port, 'postgres'),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // An error between two queries (the server goes down again) must not end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch {
    return false;
  }
  try {
    await client.query(`CREATE DATABASE ${POSTGRES_DATABASE} TEMPLATE template0`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === DUPLICATE_DATABASE)) {
      throw error;
    }
  } finally {
    await client.end();
  }
  return true;
}
