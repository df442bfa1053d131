/** What each Sentinel of a group says of it, asked once: for people, and for how many replicas there are. */
import {
  type Address,
  parseRedisUrl,
  type SentinelTarget,
  showAddress,
} from '../runtime/redis-url.ts';
import { askOnce } from './one-shot.ts';
import { readFields } from './sentinel-client.ts';

export interface SentinelOpinion {
  /** host:port of the Sentinel. */
  readonly sentinel: string;
  /** Why it did not answer; all else is then missing. */
  readonly problem?: string;
  /** host:port that it names. */
  readonly primary?: string;
  readonly config_epoch?: number;
  /** `master`, and what is wrong with it: `master,s_down,o_down`. */
  readonly flags?: string;
  readonly replicas?: number;
  /** Sentinels that must agree before one fails over. */
  readonly quorum?: number;
}

/** Of the Sentinels that `url` names and those that they know; empty where it names one node. */
export async function askSentinels(
  url: string,
  localAddress?: string,
): Promise<readonly SentinelOpinion[]> {
  const target = parseRedisUrl(url);
  if (target.kind === 'node') return [];
  const asked = new Map<string, Promise<Answer>>();
  const ask = (address: Address): void => {
    const name = showAddress(address);
    if (!asked.has(name)) asked.set(name, askSentinel(address, target, localAddress));
  };
  for (const address of target.sentinels) ask(address);
  const first = await Promise.all(asked.values());
  for (const { others } of first) for (const address of others) ask(address);
  const answers = await Promise.all(asked.values());
  return answers.map(({ opinion }) => opinion);
}

/** The most that any Sentinel counts; undefined: none answered. */
export function replicasSeen(opinions: readonly SentinelOpinion[]): number | undefined {
  const counts = opinions.flatMap(({ replicas }) => replicas ?? []);
  return counts.length === 0 ? undefined : Math.max(...counts);
}

interface Answer {
  readonly opinion: SentinelOpinion;
  readonly others: readonly Address[];
}

async function askSentinel(
  address: Address,
  target: SentinelTarget,
  localAddress: string | undefined,
): Promise<Answer> {
  const sentinel = showAddress(address);
  const options = { address, target, login: target.sentinelLogin, localAddress };
  try {
    const [about, others] = await askOnce(options, (redis) =>
      Promise.all([
        redis.call('SENTINEL', 'MASTER', target.master),
        redis.call('SENTINEL', 'SENTINELS', target.master),
      ]),
    );
    const fields = readFields(about);
    return {
      opinion: {
        sentinel,
        primary: `${fields.get('ip')}:${fields.get('port')}`,
        config_epoch: Number(fields.get('config-epoch')),
        flags: fields.get('flags') ?? '',
        replicas: Number(fields.get('num-slaves')),
        quorum: Number(fields.get('quorum')),
      },
      others: (others as unknown[])
        .map(readFields)
        .map((other) => ({ host: String(other.get('ip')), port: Number(other.get('port')) })),
    };
  } catch (error) {
    return { opinion: { sentinel, problem: (error as Error).message }, others: [] };
  }
}
