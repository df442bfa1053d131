/**
 * A local Redis, set up as Holdfast needs it. The settings that matter are the ones that Holdfast
 * checks at its own start; the reason for each stands beside it.
 */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { findRedisServer, REDIS_VERSION_MIN } from './find-programs.ts';
import type { ServerCommand } from './server-process.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
/** A large append-only file is replayed before Redis answers. */
const READY_TIMEOUT_MS = 60_000;
const PING_TIMEOUT_MS = 1_000;

/** What Holdfast needs of any Redis; deploy/compose.yaml says the same. */
export const REDIS_SETTINGS: ReadonlyArray<readonly [name: string, value: string]> = [
  // A record that was evicted would be a reservation forgotten.
  ['maxmemory-policy', 'noeviction'],
  ['appendonly', 'yes'],
  ['appendfsync', 'everysec'],
  // The append-only file is the one form of persistence; a snapshot beside it only costs a fork.
  ['save', ''],
  // With the default, 64 MB, a sale has the file written anew every ten seconds or so, and everybody
  // waits for the fork and the disk. 512 MB are read again in some 3 s.
  ['auto-aof-rewrite-min-size', '512mb'],
  // Else the replication id, which the fence compares, changes an hour after a last replica left.
  ['repl-backlog-ttl', '0'],
  // Buckets of packed reservations and cells stay in listpacks, which take less memory.
  ['hash-max-listpack-value', '512'],
  ['hash-max-listpack-entries', '128'],
];

/** What a primary with replicas needs besides; deploy/compose.sentinel.yaml says the same. */
export const REPLICATION_SETTINGS: ReadonlyArray<readonly [name: string, value: string]> = [
  // A primary that was cut off from all its replicas stops taking writes, which would be lost.
  ['min-replicas-to-write', '1'],
  // Seconds. Replicas report every second: one report may be missed.
  ['min-replicas-max-lag', '2'],
  // What a replica missed while a failover lasts, at some MB/s, so that it need not copy everything.
  ['repl-backlog-size', '64mb'],
  // The default waits 5 s for further replicas before a full copy: 5 s in which nobody can sell.
  ['repl-diskless-sync-delay', '0'],
];

export interface RedisOptions {
  readonly directory: string;
  readonly port: number;
  /** Further settings, as on the command line: `['--appendfsync', 'always']`. The last one wins. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export function redisUrl(port: number): string {
  return `redis://127.0.0.1:${port}/0`;
}

export function redisCommand(options: RedisOptions): ServerCommand {
  const { directory, port } = options;
  const command = findRedisServer(options.env ?? process.env);
  if (command === undefined) {
    throw new Error(`there is no redis-server of version ${REDIS_VERSION_MIN} or newer in PATH`);
  }
  mkdirSync(directory, { recursive: true });
  return {
    title: 'Redis',
    command,
    args: [...redisSettings(LOOPBACK, port, directory), ...(options.args ?? [])],
    directory,
    port,
    isReady: () => answersPing({ host: LOOPBACK, port }),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
}

/** The arguments of a redis-server that listens there. */
export function redisSettings(host: string, port: number, directory: string): string[] {
  const settings: ReadonlyArray<readonly [name: string, value: string]> = [
    ['bind', host],
    ['port', String(port)],
    ['dir', directory],
    ['daemonize', 'no'],
    // Tests of half-done scripts and of memory layout use DEBUG; loopback only.
    ['enable-debug-command', 'local'],
    ...REDIS_SETTINGS,
  ];
  return settings.flatMap(([name, value]) => [`--${name}`, value]);
}

/** True once Redis serves commands: while it loads its file it answers -LOADING instead of +PONG. */
export function answersPing(address: RedisAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    const finish = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(PING_TIMEOUT_MS, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('data', (answer) => finish(answer.toString().startsWith('+PONG')));
    socket.once('connect', () => socket.write('PING\r\n'));
  });
}
