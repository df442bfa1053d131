/** Asks one node or Sentinel something, over a connection of its own that ends with the answer. */
import { Redis } from 'ioredis';
import type { Address, RedisLogin, RedisTarget } from '../runtime/redis-url.ts';
import { connectorTo } from './connector.ts';
import { fixedSource } from './source.ts';

/** On the same network an answer takes a millisecond; one that hangs must not hold up the rest. */
const ANSWER_MS_MAX = 1_000;

export interface OneShotOptions {
  readonly address: Address;
  readonly target: RedisTarget;
  readonly login: RedisLogin;
  readonly localAddress: string | undefined;
}

/** Rejects with the reason when it cannot be reached, or does not answer within a second. */
export async function askOnce<T>(
  { address, target, login, localAddress }: OneShotOptions,
  ask: (redis: Redis) => Promise<T>,
): Promise<T> {
  const redis: Redis = new Redis({
    Connector: connectorTo({
      source: fixedSource(address, target, localAddress),
      reject: (error) => redis.recoverFromFatalError(error, error, {}),
    }),
    protocol: 2,
    ...login,
    ...(target.tls && { tls: {} }),
    lazyConnect: true,
    // A node that still loads answers what it is, and that it loads.
    enableReadyCheck: false,
    disableClientInfo: true,
    commandTimeout: ANSWER_MS_MAX,
    connectTimeout: ANSWER_MS_MAX,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  let problem: Error | undefined;
  redis.on('error', (error: Error) => {
    problem = error;
  });
  try {
    await redis.connect();
    return await ask(redis);
  } catch (error) {
    throw problem ?? error;
  } finally {
    redis.disconnect();
  }
}

/** `master`, or words that say what it is instead: `is a slave`, `does not answer: ...`. */
export async function askRole(options: OneShotOptions): Promise<string> {
  try {
    const [role] = (await askOnce(options, (redis) => redis.call('ROLE'))) as [string];
    return role === 'master' ? role : `is a ${role}`;
  } catch (error) {
    return `does not answer: ${(error as Error).message}`;
  }
}
