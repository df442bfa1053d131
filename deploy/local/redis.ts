/**
 * A local Redis, set up as Holdfast needs it. The settings that matter are the ones that Holdfast
 * checks at its own start; the reason for each stands beside it.
 */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { findRedisServer, REDIS_VERSION_MIN } from './find-programs.ts';
import type { ServerCommand } from './server-process.ts';

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
  // Else the replication id, which the fence compares, changes an hour after a last replica left.
  ['repl-backlog-ttl', '0'],
  // Buckets of packed reservations and cells stay in listpacks, which take less memory.
  ['hash-max-listpack-value', '512'],
  ['hash-max-listpack-entries', '128'],
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
    args: [...redisSettings(port, directory), ...(options.args ?? [])],
    directory,
    port,
    isReady: () => answersPing(port),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
}

function redisSettings(port: number, directory: string): string[] {
  const settings: ReadonlyArray<readonly [name: string, value: string]> = [
    ['bind', '127.0.0.1'],
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
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
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
