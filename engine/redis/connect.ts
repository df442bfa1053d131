/** Every option of a Redis client is spelled here, with its reason. */
import { Redis, type RedisOptions } from 'ioredis';
import { describeTarget, parseRedisUrl } from '../runtime/redis-url.ts';
import { connectorTo } from './connector.ts';
import { openRedisSource } from './open-source.ts';
import type { RedisSource } from './source.ts';

export interface RedisConnection {
  /** redis://... or redis+sentinel://... (runtime/redis-url.ts). */
  readonly url: string;
  /** Shown in CLIENT LIST, so that an operator sees who is who. */
  readonly name: string;
  readonly onError: (error: Error) => void;
  /** Shared by the connections of a process (open-source.ts); an own one by default. */
  readonly source?: RedisSource | undefined;
  /** Local address of the socket; of no effect beside `source`, which has its own. */
  readonly localAddress?: string | undefined;
}

type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

const COMMAND_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 2_000;
const RETRY_MS_MIN = 10;
const RETRY_SPREAD_MS = 100;
const RETRY_SPREAD_MS_MAX = 800;

/** Connects in the background; commands fail at once while there is no connection. */
export function connectRedis(connection: RedisConnection, options: ClientOptions = {}): Redis {
  const source = connection.source ?? openRedisSource(connection);
  const { target } = source;
  const all: ClientOptions = {
    Connector: connectorTo({
      source,
      reject: (error) => redis.recoverFromFatalError(error, error, { offlineQueue: false }),
    }),
    // The connector knows where to go; what stands here is for messages (whenReady).
    ...(target.kind === 'node'
      ? target.address
      : {
          sentinels: [...target.sentinels],
          name: target.master,
          enableTLSForSentinelMode: target.tls,
        }),
    ...target.login,
    db: target.database,
    ...(target.tls && { tls: {} }),
    // ioredis 6 would speak RESP3, whose maps and doubles our readers do not expect.
    protocol: 2,
    // A command without a connection fails now: the caller decides, nothing is sent late.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // A command that was in flight when the connection broke may have run: never sent again.
    autoResendUnfulfilledCommands: false,
    // One script per batch is our pipelining; ioredis's own was 10-20 % slower.
    enableAutoPipelining: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // Else a connection to a node that hangs or was cut off is kept for ever, and each command on it
    // times out alone.
    socketTimeout: options.commandTimeout ?? COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    connectionName: connection.name,
    retryStrategy: retryAfterMs,
    // The node became a replica under us: leave it. The command itself is answered with the error.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    noDelay: true,
    ...options,
  };
  const redis: Redis = new Redis(all);
  redis.on('error', connection.onError);
  return redis;
}

/**
 * Soon, because the lane is closed meanwhile; and spread, because all engines lose the primary at
 * the same moment, and a queue of new connections that overflows costs each a second.
 */
function retryAfterMs(times: number): number {
  const spread = Math.min(RETRY_SPREAD_MS * 2 ** (times - 1), RETRY_SPREAD_MS_MAX);
  return RETRY_MS_MIN + Math.random() * spread;
}

/** Resolves when the client can take commands; rejects after `timeoutMs`, with the last reason. */
export function whenReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    let reason = 'nothing answers; is it running?';
    const note = (error: Error): void => {
      reason = error.message;
    };
    const end = (): void => {
      clearTimeout(timer);
      redis.off('ready', ready).off('error', note);
    };
    const ready = (): void => {
      end();
      resolve();
    };
    const timer = setTimeout(() => {
      end();
      const name = nameOf(redis);
      const why = reason.replace(`${name}: `, '');
      reject(new Error(`${name} is not ready after ${timeoutMs} ms: ${why}`));
    }, timeoutMs);
    redis.on('ready', ready).on('error', note);
  });
}

function nameOf({ options }: Redis): string {
  const { sentinels, name, host = '', port = 0 } = options;
  if (sentinels == null) return `Redis at ${host}:${port}`;
  const hosts = sentinels.map((each) => `${each.host}:${each.port}`).join(',');
  return describeTarget(parseRedisUrl(`redis+sentinel://${hosts}/${name}`));
}
