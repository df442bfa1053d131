/** Reads what the rules of settings-rules.ts judge: from every data node and every Sentinel. */
import type { Redis } from 'ioredis';
import { type Address, type RedisTarget, showAddress } from '../runtime/redis-url.ts';
import { LANES, laneKeys } from './keys.ts';
import { askOnce } from './one-shot.ts';
import { readFields } from './sentinel-client.ts';
import type { RedisSource } from './source.ts';

export interface NodeFacts {
  readonly address: Address;
  readonly role: string;
  readonly version: string;
  readonly isCluster: boolean;
  readonly replicas: number;
  /** Undefined: the node does not let us ask (CONFIG is forbidden). */
  readonly settings: ReadonlyMap<string, string> | undefined;
}

export interface SentinelFacts {
  readonly address: Address;
  readonly quorum: number;
  readonly downAfterMs: number;
  /** Sentinels that it knows, itself among them. */
  readonly sentinels: number;
  readonly replicas: readonly { readonly address: Address; readonly priority: number }[];
}

export interface LaneFacts {
  /** Version of what stands in Redis; undefined: nothing does. */
  readonly schema: string | undefined;
  /** There is a lane behind the last one that this release runs. */
  readonly hasMoreLanes: boolean;
}

export interface RedisFacts {
  readonly kind: RedisTarget['kind'];
  readonly primary: NodeFacts;
  readonly replicas: readonly NodeFacts[];
  readonly sentinels: readonly SentinelFacts[];
  /** Who did not answer, and why. */
  readonly silent: readonly string[];
  readonly lane: LaneFacts;
}

const SETTINGS = [
  'maxmemory-policy',
  'appendonly',
  'repl-backlog-ttl',
  'repl-backlog-size',
  'repl-timeout',
  'min-replicas-to-write',
  'min-replicas-max-lag',
  'auto-aof-rewrite-min-size',
  'hash-max-listpack-value',
  'hash-max-listpack-entries',
];

/** `redis` is connected to the primary; the others are asked over connections of their own. */
export async function readRedisFacts(redis: Redis, source: RedisSource): Promise<RedisFacts> {
  const { target, localAddress } = source;
  const silent: string[] = [];
  const tryAsk = async <T>(who: string, asking: Promise<T>): Promise<T[]> => {
    try {
      return [await asking];
    } catch (error) {
      silent.push(`${who}: ${(error as Error).message}`);
      return [];
    }
  };
  const askNode = (address: Address) =>
    askOnce({ address, target, login: target.login, localAddress }, (node) =>
      readNode(node, address),
    );
  const primary = await readNode(redis, addressOf(redis));
  const sentinels = await askAllSentinels(source, tryAsk);
  const named = new Map(
    sentinels.flatMap((each) =>
      each.replicas.map(({ address }) => [showAddress(address), address] as const),
    ),
  );
  const replicas = await Promise.all(
    [...named].map(([name, address]) => tryAsk(`Redis ${name}`, askNode(address))),
  );
  return {
    kind: target.kind,
    primary,
    replicas: replicas.flat(),
    sentinels,
    silent,
    lane: await readLane(redis),
  };
}

type TryAsk = <T>(who: string, asking: Promise<T>) => Promise<T[]>;

/** Those that are named, and those that they know. */
async function askAllSentinels(
  { target, localAddress }: RedisSource,
  tryAsk: TryAsk,
): Promise<readonly SentinelFacts[]> {
  if (target.kind === 'node') return [];
  const asked = new Set<string>();
  const ask = async (address: Address): Promise<SentinelFacts[]> => {
    const name = showAddress(address);
    if (asked.has(name)) return [];
    asked.add(name);
    const options = { address, target, login: target.sentinelLogin, localAddress };
    const answers = await tryAsk(
      `Sentinel ${name}`,
      askOnce(options, (redis) => readSentinel(redis, address, target.master)),
    );
    const next = await Promise.all(answers.flatMap(({ others }) => others.map(ask)));
    return [...answers.map(({ facts }) => facts), ...next.flat()];
  };
  return (await Promise.all(target.sentinels.map(ask))).flat();
}

async function readSentinel(
  redis: Redis,
  address: Address,
  master: string,
): Promise<{ readonly facts: SentinelFacts; readonly others: readonly Address[] }> {
  const [about, others, replicas] = await Promise.all([
    redis.call('SENTINEL', 'MASTER', master),
    redis.call('SENTINEL', 'SENTINELS', master),
    redis.call('SENTINEL', 'REPLICAS', master),
  ]);
  const fields = readFields(about);
  const number = (name: string): number => Number(fields.get(name));
  const listed = (list: unknown) => (list as unknown[]).map(readFields);
  const place = (each: ReadonlyMap<string, string>): Address => ({
    host: String(each.get('ip')),
    port: Number(each.get('port')),
  });
  return {
    others: listed(others).map(place),
    facts: {
      address,
      quorum: number('quorum'),
      downAfterMs: number('down-after-milliseconds'),
      sentinels: number('num-other-sentinels') + 1,
      replicas: listed(replicas).map((each) => ({
        address: place(each),
        priority: Number(each.get('slave-priority')),
      })),
    },
  };
}

async function readNode(redis: Redis, address: Address): Promise<NodeFacts> {
  const info = readInfo(await redis.info());
  return {
    address,
    role: info.get('role') ?? '',
    version: info.get('redis_version') ?? '',
    isCluster: info.get('cluster_enabled') === '1',
    replicas: Number(info.get('connected_slaves')),
    settings: await readSettings(redis),
  };
}

async function readSettings(redis: Redis): Promise<Map<string, string> | undefined> {
  try {
    return readFields(await redis.call('CONFIG', 'GET', ...SETTINGS));
  } catch (error) {
    // Forbidden or renamed; any other failure is one.
    if (/NOPERM|unknown command/i.test((error as Error).message)) return undefined;
    throw error;
  }
}

async function readLane(redis: Redis): Promise<LaneFacts> {
  const [schema, more] = await Promise.all([
    redis.hget(laneKeys(0).meta, 'schema'),
    redis.exists(laneKeys(LANES).meta),
  ]);
  return { schema: schema ?? undefined, hasMoreLanes: more === 1 };
}

function readInfo(text: string): Map<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
    }),
  );
}

function addressOf({ stream }: Redis): Address {
  return { host: stream.remoteAddress ?? '', port: stream.remotePort ?? 0 };
}
