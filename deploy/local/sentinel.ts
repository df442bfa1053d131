/** What the Sentinels and the data nodes of a group say about it, one short connection a question. */
import { Redis } from 'ioredis';
import type { RedisAddress } from './redis.ts';
import { addressText, GROUP_NAME, type RedisGroup } from './redis-group.ts';

const ASK_TIMEOUT_MS = 1_000;

/** The reply to one command; undefined when the server is away, hangs or refuses. */
export async function askRedis(
  address: RedisAddress,
  command: string,
  ...args: readonly string[]
): Promise<unknown> {
  const client = new Redis({
    ...address,
    protocol: 2,
    connectTimeout: ASK_TIMEOUT_MS,
    commandTimeout: ASK_TIMEOUT_MS,
    enableReadyCheck: false,
    retryStrategy: null,
  });
  client.on('error', () => undefined);
  try {
    return await client.call(command, ...args);
  } catch {
    return undefined;
  } finally {
    client.disconnect();
  }
}

/** Who is primary, as one Sentinel says. */
export async function primaryBySentinel(sentinel: RedisAddress): Promise<RedisAddress | undefined> {
  const reply = await askRedis(sentinel, 'SENTINEL', 'get-master-addr-by-name', GROUP_NAME);
  if (!Array.isArray(reply)) return undefined;
  const [host, port]: readonly unknown[] = reply;
  return typeof host === 'string' ? { host, port: Number(port) } : undefined;
}

/** `HOST:PORT` that more than half of all these Sentinels name; those that are silent count. */
export async function primaryByMajority(
  sentinels: readonly RedisAddress[],
): Promise<string | undefined> {
  const votes = new Map<string, number>();
  for (const address of await Promise.all(sentinels.map(primaryBySentinel))) {
    if (address === undefined) continue;
    const text = addressText(address);
    votes.set(text, (votes.get(text) ?? 0) + 1);
  }
  return [...votes].find(([, count]) => count > sentinels.length / 2)?.[0];
}

/** What a data node says that it is. */
export type NodeRole =
  | { readonly kind: 'primary'; readonly offset: number }
  | {
      readonly kind: 'replica';
      /** `HOST:PORT` of whom it follows. */
      readonly primary: string;
      /** `connected` when it is in step. */
      readonly link: string;
      readonly offset: number;
    };

export async function askRole(address: RedisAddress): Promise<NodeRole | undefined> {
  const reply = await askRedis(address, 'ROLE');
  const [kind, ...rest] = Array.isArray(reply) ? reply.map(String) : [];
  if (kind === 'master') return { kind: 'primary', offset: Number(rest[0]) };
  if (kind !== 'slave') return undefined;
  const [host, port, link = '', offset] = rest;
  return { kind: 'replica', primary: `${host}:${port}`, link, offset: Number(offset) };
}

/** Whether the primary has a replica in sync, without which it takes no writes. */
export async function takesWrites(group: RedisGroup): Promise<boolean> {
  const primary = await primaryByMajority(group.members.map(({ sentinel }) => sentinel));
  const member = group.members.find(({ announced }) => addressText(announced.data) === primary);
  if (member === undefined) return false;
  const info = await askRedis(member.data, 'INFO', 'replication');
  return typeof info === 'string' && /^min_slaves_good_slaves:[1-9]/m.test(info);
}

/** `['ip', '127.0.0.1', 'port', ...]`, as Sentinel describes an instance. */
export function readFields(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(reply)) return fields;
  for (let index = 0; index + 1 < reply.length; index += 2) {
    fields.set(String(reply[index]), String(reply[index + 1]));
  }
  return fields;
}
