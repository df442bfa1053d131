/**
 * A local PostgreSQL: a cluster made once, with initdb or as the copy of a primary that it then
 * follows, and reused. Loopback only, without passwords (`trust`) and without Unix sockets, whose
 * paths may not be longer than 107 bytes.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { waitFor } from './deadline.ts';
import { findPostgres, POSTGRES_VERSION_MIN, type PostgresPrograms } from './find-programs.ts';
import { isZombie } from './process-identity.ts';
import type { ServerCommand } from './server-process.ts';
import { canReach, type UnprivilegedUser, unprivilegedUser } from './unprivileged-user.ts';

export const POSTGRES_USER = 'holdfast';
export const POSTGRES_DATABASE = 'holdfast';

/** After a crash the write-ahead log is replayed before PostgreSQL answers. */
const READY_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** Longer, and nobody reaps it: then PostgreSQL says so. */
const REAPED_MS_MAX = 10_000;
const DUPLICATE_DATABASE = '42P04';
/** Of a server that is still in recovery, as one is for a moment that is being promoted. */
const READ_ONLY = '25006';
/** Its presence makes a standby; PostgreSQL deletes it when the standby is promoted. */
const STANDBY_SIGNAL = 'standby.signal';

export interface PostgresOptions {
  readonly directory: string;
  readonly port: number;
  /** Further settings, as `['fsync=off']`. The last one wins. */
  readonly settings?: readonly string[];
  /**
   * The port of the primary that this one follows. Its cluster is copied from there when there is
   * none yet; one that was promoted meanwhile stays a primary.
   */
  readonly primaryPort?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * What a primary keeps for a standby that was away for a while. A replication slot would keep
 * everything, and fill the disk behind a standby that never comes back.
 */
const PRIMARY_SETTINGS: readonly string[] = ['wal_keep_size=256MB'];

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
  const { primaryPort } = options;
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    const maker = primaryPort === undefined ? initdb(programs) : copyOf(programs, primaryPort);
    await makeCluster(maker, cluster, user);
  }
  if (primaryPort !== undefined && isStandby(options.directory)) follow(cluster, primaryPort);
  await untilReaped(cluster);
  const settings = [
    `port=${options.port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    ...PRIMARY_SETTINGS,
    ...(options.settings ?? []),
  ];
  return {
    title: 'PostgreSQL',
    command: programs.postgres,
    args: ['-D', cluster, ...settings.flatMap((setting) => ['-c', setting])],
    directory: options.directory,
    port: options.port,
    user,
    isReady: () => (isStandby(options.directory) ? takesConnections : hasDatabase)(options.port),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
}

/**
 * PostgreSQL refuses to start while the process that its lock file names can be signalled, and one
 * that was killed can be until its parent has heard of its end.
 */
async function untilReaped(cluster: string): Promise<void> {
  const lockFile = join(cluster, 'postmaster.pid');
  if (!existsSync(lockFile)) return;
  const pid = Number(readFileSync(lockFile, 'utf8').split('\n')[0]);
  await waitFor(() => (isZombie(pid) ? undefined : true), REAPED_MS_MAX);
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

/** Whether the cluster in this server's directory follows a primary; a promotion ends that. */
export function isStandby(directory: string): boolean {
  return existsSync(join(directory, 'cluster', STANDBY_SIGNAL));
}

interface ClusterMaker {
  readonly program: string;
  readonly args: (directory: string) => string[];
}

function initdb({ initdb }: PostgresPrograms): ClusterMaker {
  // Locale C exists everywhere, and sorts ids by their bytes as JavaScript and Redis do.
  const fixed = ['-U', POSTGRES_USER, '--auth=trust', '--locale=C', '-E', 'UTF8', '--no-sync'];
  return { program: initdb, args: (directory) => ['-D', directory, ...fixed] };
}

function copyOf({ basebackup }: PostgresPrograms, primaryPort: number): ClusterMaker {
  const from = ['-h', '127.0.0.1', '-p', String(primaryPort), '-U', POSTGRES_USER];
  // Without waiting for the primary's next checkpoint, which may be minutes away.
  const how = ['--write-recovery-conf', '--checkpoint=fast', '--wal-method=stream', '--no-sync'];
  return { program: basebackup, args: (directory) => [...from, ...how, '-D', directory] };
}

/** Makes it in a directory of its own, renamed at the end: half a cluster is never taken for one. */
async function makeCluster(
  { program, args }: ClusterMaker,
  cluster: string,
  user: UnprivilegedUser | undefined,
): Promise<void> {
  const draft = `${cluster}.new`;
  for (const path of [draft, cluster]) rmSync(path, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  if (user !== undefined) chownSync(draft, user.uid, user.gid);
  try {
    await promisify(execFile)(program, args(draft), {
      cwd: '/',
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${basename(program)} could not make a PostgreSQL cluster in ${cluster}: ${reason}`,
    );
  }
  renameSync(draft, cluster);
}

/** The primary may have another port than when it was copied. The last line of the file counts. */
function follow(cluster: string, primaryPort: number): void {
  const path = join(cluster, 'postgresql.auto.conf');
  const kept = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('primary_conninfo'));
  const primary = `host=127.0.0.1 port=${primaryPort} user=${POSTGRES_USER} connect_timeout=2`;
  writeFileSync(path, `${[...kept, `primary_conninfo = '${primary}'`].join('\n')}\n`);
}

async function takesConnections(port: number): Promise<boolean> {
  const client = await connectTo(port, POSTGRES_DATABASE);
  await client?.end();
  return client !== undefined;
}

/** Ready means: it takes connections, and our database is there (it is made when it is not). */
async function hasDatabase(port: number): Promise<boolean> {
  const client = await connectTo(port, 'postgres');
  if (client === undefined) return false;
  try {
    await client.query(`CREATE DATABASE ${POSTGRES_DATABASE} TEMPLATE template0`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === READ_ONLY) return false;
    if (code !== DUPLICATE_DATABASE) throw error;
  } finally {
    await client.end();
  }
  return true;
}

async function connectTo(port: number, database: string): Promise<Client | undefined> {
  const client = new Client({
    connectionString: postgresUrl(port, database),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // An error between two queries (the server goes down again) must not end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch {
    return undefined;
  }
}
