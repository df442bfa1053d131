/**
 * Does a connection lead to the node that a majority of the Sentinels stands behind? Asked of them
 * now, because what was heard before a cut says nothing of the side on which one is since.
 */
import type { Redis } from 'ioredis';
import {
  type Address,
  describeTarget,
  parseRedisUrl,
  type SentinelTarget,
  showAddress,
} from '../runtime/redis-url.ts';
import { askOnce } from './one-shot.ts';
import { readFields } from './sentinel-client.ts';

interface Vote {
  /** The Sentinel's own id: it may be known under two addresses. */
  readonly voter: string;
  readonly primary: Address;
  readonly configEpoch: number;
  readonly others: readonly Address[];
}

/** Undefined: it does, or REDIS_URL names one node. Else what people should be told. */
export async function whyNotPrimary(
  redis: Redis,
  { redisUrl, redisLocalAddress }: { redisUrl: string; redisLocalAddress: string | undefined },
): Promise<string | undefined> {
  const target = parseRedisUrl(redisUrl);
  if (target.kind === 'node') return undefined;
  const primary = await electedPrimary(target, redisLocalAddress);
  if (primary === undefined) {
    return `no majority of the Sentinels of ${describeTarget(target)} can be asked from here`;
  }
  const [ours, theirs] = await Promise.all([
    runIdOf(redis),
    askOnce(
      { address: primary, target, login: target.login, localAddress: redisLocalAddress },
      runIdOf,
    ),
  ]);
  return ours === theirs
    ? undefined
    : `a majority of the Sentinels names ${showAddress(primary)}, which is another node than the one connected to`;
}

async function runIdOf(redis: Redis): Promise<string | undefined> {
  return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
}

/** What the newest of a majority's votes names; resolves as soon as a majority has answered. */
function electedPrimary(
  target: SentinelTarget,
  localAddress: string | undefined,
): Promise<Address | undefined> {
  return new Promise((resolve) => {
    const asked = new Set<string>();
    const votes = new Map<string, Vote>();
    let pending = 0;
    const decide = (): void => {
      const all = [...votes.values()];
      const known = Math.max(
        target.sentinels.length,
        ...all.map(({ others }) => 1 + others.length),
      );
      const newest = all.sort((a, b) => b.configEpoch - a.configEpoch)[0];
      if (all.length > known / 2) resolve(newest?.primary);
      else if (pending === 0) resolve(undefined);
    };
    const ask = (address: Address): void => {
      const name = showAddress(address);
      if (asked.has(name)) return;
      asked.add(name);
      pending++;
      askVote(address, target, localAddress)
        .then((vote) => {
          votes.set(vote.voter, vote);
          for (const other of vote.others) ask(other);
        })
        // One that cannot be asked has no vote.
        .catch(() => undefined)
        .finally(() => {
          pending--;
          decide();
        });
    };
    for (const address of target.sentinels) ask(address);
  });
}

async function askVote(
  address: Address,
  target: SentinelTarget,
  localAddress: string | undefined,
): Promise<Vote> {
  const login = target.sentinelLogin;
  const [voter, about, others] = await askOnce({ address, target, login, localAddress }, (redis) =>
    Promise.all([
      redis.call('SENTINEL', 'MYID'),
      redis.call('SENTINEL', 'MASTER', target.master),
      redis.call('SENTINEL', 'SENTINELS', target.master),
    ]),
  );
  const fields = readFields(about);
  return {
    voter: String(voter),
    primary: { host: String(fields.get('ip')), port: Number(fields.get('port')) },
    configEpoch: Number(fields.get('config-epoch')),
    others: (others as unknown[])
      .map(readFields)
      .map((other) => ({ host: String(other.get('ip')), port: Number(other.get('port')) })),
  };
}
