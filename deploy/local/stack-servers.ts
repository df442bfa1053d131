/**
 * The three stores of the stack, and the servers that each consists of: one, or a Redis group with
 * its Sentinels and a PostgreSQL pair.
 */
import { join } from 'node:path';
import { kafkaBroker, kafkaCommand } from './kafka.ts';
import { kafkaJarsDirectory } from './kafka-jars.ts';
import type { ManagedServer } from './managed-server.ts';
import { postgresCommand, postgresUrl } from './postgres.ts';
import { chooseCluster, pairUrl, standbyCommand } from './postgres-pair.ts';
import { redisCommand, redisUrl } from './redis.ts';
import {
  addressText,
  dataNodeCommand,
  groupUrl,
  type RedisGroup,
  sentinelCommand,
} from './redis-group.ts';
import { takesWrites } from './sentinel.ts';

export type StoreName = 'redis' | 'postgres' | 'kafka';
export type ServerName = StoreName | 'postgres-2' | `redis-${number}` | `sentinel-${number}`;

export const STORE_NAMES: readonly StoreName[] = ['redis', 'postgres', 'kafka'];

export type EnvironmentVariable = 'REDIS_URL' | 'DATABASE_URL' | 'KAFKA_BROKERS';

/** Where one is set, the servers that it names are used and none is started. */
export const VARIABLES: Readonly<Record<StoreName, EnvironmentVariable>> = {
  redis: 'REDIS_URL',
  postgres: 'DATABASE_URL',
  kafka: 'KAFKA_BROKERS',
};

export interface StackServer extends ManagedServer {
  readonly name: ServerName;
  readonly store: StoreName;
  /** How it is reached by itself, on this port. */
  readonly address: (port: number) => string;
}

export interface Store {
  readonly name: StoreName;
  readonly variable: EnvironmentVariable;
  /** The servers of a wave start at once, when the wave before is ready; they stop in that order too. */
  readonly waves: ReadonlyArray<readonly StackServer[]>;
  /** What the variable would say; `portOf` knows the ports of those servers that ever ran. */
  readonly url: (portOf: PortOf) => string;
  /** Whether its servers, each ready by itself, work together. */
  readonly isReady?: () => Promise<boolean>;
}

export type PortOf = (server: StackServer) => number | undefined;

/** With a group the store is as in production: it fails over. */
export function stackStore(
  name: StoreName,
  stackDirectory: string,
  env: NodeJS.ProcessEnv,
  group: RedisGroup | undefined,
): Store {
  switch (name) {
    case 'redis':
      return group === undefined
        ? singleStore(singleRedis(stackDirectory, env))
        : groupStore(stackDirectory, env, group);
    case 'postgres':
      return postgresStore(stackDirectory, env, group !== undefined);
    case 'kafka':
      return singleStore(kafka(stackDirectory, env));
  }
}

export function serversOf(store: Store): StackServer[] {
  return store.waves.flat();
}

/** What the environment says about a store; an empty variable says nothing. */
export function fromEnvironment(
  variable: EnvironmentVariable,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const value = env[variable]?.trim();
  return value === '' ? undefined : value;
}

/** For the stack's own servers, whatever a shell names. */
export function withoutServers(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { REDIS_URL: _, DATABASE_URL: __, KAFKA_BROKERS: ___, ...rest } = env;
  return rest;
}

function singleStore(server: StackServer): Store {
  const { store } = server;
  return {
    name: store,
    variable: VARIABLES[store],
    waves: [[server]],
    url: (portOf) => server.address(portOf(server) ?? 0),
  };
}

function singleRedis(stackDirectory: string, env: NodeJS.ProcessEnv): StackServer {
  const directory = join(stackDirectory, 'redis');
  return {
    name: 'redis',
    store: 'redis',
    directory,
    address: redisUrl,
    command: (port) => redisCommand({ directory, port, env }),
    stopSignal: 'SIGTERM',
  };
}

/** The data nodes wait for the Sentinels' word by themselves, and for each other. */
function groupStore(stackDirectory: string, env: NodeJS.ProcessEnv, group: RedisGroup): Store {
  const dataNodes = group.members.map((member, index): StackServer => {
    const name = `redis-${index + 1}` as const;
    const directory = join(stackDirectory, name);
    return {
      name,
      store: 'redis',
      directory,
      place: member.data,
      address: () => `redis://${addressText(member.data)}/0`,
      command: () => dataNodeCommand({ group, index, directory, env }, 'guarded'),
      stopSignal: 'SIGTERM',
    };
  });
  const sentinels = group.members.map((member, index): StackServer => {
    const name = `sentinel-${index + 1}` as const;
    const directory = join(stackDirectory, name);
    return {
      name,
      store: 'redis',
      directory,
      place: member.sentinel,
      address: () => `redis://${addressText(member.sentinel)}`,
      command: () => sentinelCommand({ group, index, directory, env }),
      stopSignal: 'SIGTERM',
    };
  });
  return {
    name: 'redis',
    variable: VARIABLES.redis,
    // The Sentinels stop first, so that they promote nobody while the data nodes stop.
    waves: [sentinels, dataNodes],
    url: () => groupUrl(group),
    isReady: () => takesWrites(group),
  };
}

function postgresStore(stackDirectory: string, env: NodeJS.ProcessEnv, isPair: boolean): Store {
  const names = ['postgres', 'postgres-2'] as const;
  const [first, second] = names.map((name) => join(stackDirectory, name));
  if (first === undefined || second === undefined) throw new Error('a pair has two directories');
  const [primary, other] = chooseCluster(first, second) === first ? names : names.toReversed();
  const server = (name: (typeof names)[number] = 'postgres', follows?: string): StackServer => {
    const directory = join(stackDirectory, name);
    return {
      name,
      store: 'postgres',
      directory,
      address: postgresUrl,
      command: (port) =>
        follows === undefined
          ? postgresCommand({ directory, port, env })
          : standbyCommand({ directory, port, env }, follows),
      // A fast shutdown: it does not wait for clients to leave, as SIGTERM would.
      stopSignal: 'SIGINT',
    };
  };
  const leader = server(primary);
  if (!isPair) return singleStore(leader);
  const follower = server(other, leader.directory);
  return {
    name: 'postgres',
    variable: VARIABLES.postgres,
    // The primary stops first: it hands the standby the last of its log before it ends.
    waves: [[leader], [follower]],
    url: (portOf) => pairUrl([leader, follower].flatMap((each) => portOf(each) ?? [])),
  };
}

function kafka(stackDirectory: string, env: NodeJS.ProcessEnv): StackServer {
  const directory = join(stackDirectory, 'kafka');
  return {
    name: 'kafka',
    store: 'kafka',
    directory,
    address: kafkaBroker,
    command: (port) =>
      kafkaCommand({ directory, port, jarsDirectory: kafkaJarsDirectory(env), env }),
    stopSignal: 'SIGTERM',
  };
}
