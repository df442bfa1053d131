/**
 * A Redis group as Holdfast wants it: a primary and two or three replicas, and one Sentinel beside
 * each, so that whoever has a majority of the Sentinels has a majority of the data nodes too. Here
 * is where everything listens and how each process is started; deploy/redis has the programs.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findRedisServer, onPath, REDIS_VERSION_MIN } from './find-programs.ts';
import { packageRoot } from './paths.ts';
import { freePort } from './ports.ts';
import { answersPing, REPLICATION_SETTINGS, type RedisAddress, redisSettings } from './redis.ts';
import type { ServerCommand } from './server-process.ts';

export const GROUP_NAME = 'holdfast';

/** A data node and the Sentinel beside it. */
export interface GroupMember {
  readonly data: RedisAddress;
  readonly sentinel: RedisAddress;
  /** Where the others reach them: elsewhere when a proxy stands before them. */
  readonly announced: { readonly data: RedisAddress; readonly sentinel: RedisAddress };
}

export interface RedisGroup {
  /** The first is the primary of the first start. */
  readonly members: readonly GroupMember[];
  readonly downAfterMs: number;
  readonly failoverTimeoutMs: number;
}

export interface GroupProcess {
  readonly group: RedisGroup;
  readonly index: number;
  readonly directory: string;
  /** Further settings. The last one wins. */
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** `guarded` asks the Sentinels first (deploy/redis/start-redis.sh); an address is a primary's. */
export type DataNodeStart = 'guarded' | 'primary' | RedisAddress;

/** A large append-only file is replayed; a guarded start may wait for a failover besides. */
const DATA_READY_TIMEOUT_MS = 90_000;
const SENTINEL_READY_TIMEOUT_MS = 30_000;

/**
 * Addresses for the members. Linux has all of 127.0.0.0/8 on its loopback, so there each node gets
 * an address of its own, by which a test can tell the nodes apart and cut them off; elsewhere only
 * the ports differ.
 */
export async function placeMembers(count: number): Promise<GroupMember[]> {
  const subnet = `127.${randomBetween(16, 254)}.${randomBetween(0, 255)}`;
  const members: GroupMember[] = [];
  const taken = new Set<number>();
  const place = async (host: string): Promise<RedisAddress> => {
    const port = await freePort(host);
    if (taken.has(port)) return await place(host);
    taken.add(port);
    return { host, port };
  };
  for (let index = 0; index < count; index += 1) {
    const host = process.platform === 'linux' ? `${subnet}.${index + 1}` : '127.0.0.1';
    const data = await place(host);
    const sentinel = await place(host);
    members.push({ data, sentinel, announced: { data, sentinel } });
  }
  return members;
}

/** As `REDIS_URL` names the group. */
export function groupUrl(group: RedisGroup): string {
  const sentinels = group.members.map(({ announced }) => addressText(announced.sentinel));
  return `redis+sentinel://${sentinels.join(',')}/${GROUP_NAME}`;
}

export function dataNodeCommand(node: GroupProcess, start: DataNodeStart): ServerCommand {
  const { data, announced } = memberOf(node);
  const server = redisServer(node.env);
  mkdirSync(node.directory, { recursive: true });
  const args = [
    ...redisSettings(data.host, data.port, node.directory),
    // Also what goes out carries the node's address: proxies and cuts know nodes by it.
    ...listenSettings(data),
    ...['--replica-announce-ip', announced.data.host],
    ...['--replica-announce-port', String(announced.data.port)],
    ...REPLICATION_SETTINGS.flatMap(([name, value]) => [`--${name}`, value]),
    ...(node.args ?? []),
  ];
  const isGuarded = start === 'guarded';
  const replicaOf = typeof start === 'object' ? ['--replicaof', start.host, `${start.port}`] : [];
  return {
    title: `Redis ${node.index + 1}`,
    command: isGuarded ? program('start-redis.sh') : server,
    args: [...args, ...replicaOf],
    directory: node.directory,
    port: data.port,
    env: { ...node.env, ...groupEnvironment(node, server) },
    isReady: () => answersPing(data),
    readyTimeoutMs: DATA_READY_TIMEOUT_MS,
  };
}

export function sentinelCommand(node: GroupProcess): ServerCommand {
  const { sentinel } = memberOf(node);
  const server = redisServer(node.env);
  mkdirSync(node.directory, { recursive: true });
  const settings = ['--port', String(sentinel.port), '--dir', node.directory];
  return {
    title: `Sentinel ${node.index + 1}`,
    command: program('start-sentinel.sh'),
    args: ['--bind', sentinel.host, ...settings, ...listenSettings(sentinel)],
    directory: node.directory,
    port: sentinel.port,
    env: { ...node.env, ...groupEnvironment(node, server) },
    isReady: () => answersPing(sentinel),
    readyTimeoutMs: SENTINEL_READY_TIMEOUT_MS,
  };
}

/** On loopback alone, without passwords: other loopback addresses than 127.0.0.1 may come in. */
function listenSettings({ host }: RedisAddress): string[] {
  return ['--bind-source-addr', host, '--protected-mode', 'no'];
}

/** What the programs in deploy/redis read. */
function groupEnvironment(node: GroupProcess, server: string): NodeJS.ProcessEnv {
  const { members, downAfterMs, failoverTimeoutMs } = node.group;
  const { announced } = memberOf(node);
  const list = (kind: 'data' | 'sentinel') =>
    members.map((member) => addressText(member.announced[kind])).join(' ');
  return {
    HOLDFAST_SENTINELS: list('sentinel'),
    HOLDFAST_SENTINEL_MASTER: GROUP_NAME,
    HOLDFAST_SENTINEL_SELF: addressText(announced.sentinel),
    HOLDFAST_SENTINEL_DIR: node.directory,
    HOLDFAST_SENTINEL_FAILOVER_MS: String(failoverTimeoutMs),
    HOLDFAST_REDIS_NODES: list('data'),
    HOLDFAST_REDIS_SELF: addressText(announced.data),
    HOLDFAST_REDIS_DOWN_AFTER_MS: String(downAfterMs),
    HOLDFAST_REDIS_SERVER: server,
    HOLDFAST_REDIS_CLI: redisClient(server, node.env),
  };
}

export function addressText({ host, port }: RedisAddress): string {
  return `${host}:${port}`;
}

function memberOf({ group, index }: GroupProcess): GroupMember {
  const member = group.members[index];
  if (member === undefined) throw new Error(`the group has no member ${index}`);
  return member;
}

function redisServer(env: NodeJS.ProcessEnv): string {
  const server = findRedisServer(env);
  if (server !== undefined) return server;
  throw new Error(`there is no redis-server of version ${REDIS_VERSION_MIN} or newer in PATH`);
}

/** The command-line client that came with the server: beside it, else in PATH. */
function redisClient(server: string, env: NodeJS.ProcessEnv): string {
  const names = ['redis-cli', 'valkey-cli'];
  const beside = names.map((name) => join(dirname(server), name)).find(existsSync);
  const client =
    beside ?? names.map((name) => onPath(name, env)).find((path) => path !== undefined);
  if (client !== undefined) return client;
  throw new Error(`there is neither redis-cli nor valkey-cli beside ${server} nor in PATH`);
}

function program(name: string): string {
  return join(packageRoot(), 'deploy/redis', name);
}

function randomBetween(min: number, max: number): number {
  return min + Math.floor(Math.random() * (max - min + 1));
}
