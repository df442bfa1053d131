/** The three servers of the stack: their order, their variables, their commands, their ends. */
import { join } from 'node:path';
import { kafkaBroker, kafkaCommand } from './kafka.ts';
import { kafkaJarsDirectory } from './kafka-jars.ts';
import type { ManagedServer } from './managed-server.ts';
import { postgresCommand, postgresUrl } from './postgres.ts';
import { redisCommand, redisUrl } from './redis.ts';

export type ServerName = 'redis' | 'postgres' | 'kafka';

export const SERVER_NAMES: readonly ServerName[] = ['redis', 'postgres', 'kafka'];

export type EnvironmentVariable = 'REDIS_URL' | 'DATABASE_URL' | 'KAFKA_BROKERS';

export interface StackServer extends ManagedServer {
  readonly name: ServerName;
  /** Where it is set, the server that it names is used and none is started. */
  readonly variable: EnvironmentVariable;
  /** What the variable would say of a server on this port. */
  readonly address: (port: number) => string;
}

export function stackServer(
  name: ServerName,
  stackDirectory: string,
  env: NodeJS.ProcessEnv,
): StackServer {
  const directory = join(stackDirectory, name);
  switch (name) {
    case 'redis':
      return {
        name,
        directory,
        variable: 'REDIS_URL',
        address: redisUrl,
        command: (port) => redisCommand({ directory, port, env }),
        stopSignal: 'SIGTERM',
      };
    case 'postgres':
      return {
        name,
        directory,
        variable: 'DATABASE_URL',
        address: postgresUrl,
        command: (port) => postgresCommand({ directory, port, env }),
        // A fast shutdown: it does not wait for clients to leave, as SIGTERM would.
        stopSignal: 'SIGINT',
      };
    case 'kafka':
      return {
        name,
        directory,
        variable: 'KAFKA_BROKERS',
        address: kafkaBroker,
        command: (port) =>
          kafkaCommand({ directory, port, jarsDirectory: kafkaJarsDirectory(env), env }),
        stopSignal: 'SIGTERM',
      };
  }
}

/** What the environment says about a server; an empty variable says nothing. */
export function fromEnvironment(
  variable: EnvironmentVariable,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const value = env[variable]?.trim();
  return value === '' ? undefined : value;
}
