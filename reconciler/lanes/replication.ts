/**
 * What a Redis node says of its replicas, and whether it takes writes with those that it has. A
 * replica that hangs stays `online` until its connection breaks; only how long it has been silent
 * tells, and it is by that alone that Redis counts replicas before each write.
 */
import type { Redis } from 'ioredis';
import { readFields } from '../../engine/redis/sentinel-client.ts';

export interface ReplicaView {
  readonly address: string;
  /** `online`, or how far its first copy is: `wait_bgsave`, `send_bulk`. */
  readonly link: string;
  /** Online, and not silent for longer than min-replicas-max-lag. */
  readonly in_sync: boolean;
  readonly offset: number;
  /** Of the replication stream. */
  readonly behind_bytes: number;
  /** Since it confirmed anything. */
  readonly silent_s: number;
}

export interface Replication {
  readonly role: string;
  readonly replid: string;
  readonly offset: number;
  readonly replicas: readonly ReplicaView[];
  /** As Redis counts them where it counts: it looks once a second. */
  readonly replicas_in_sync: number;
  readonly takes_writes: boolean;
  /** Why it takes none. */
  readonly refuses_because?: string;
  /** Missing where we may not ask for settings; 0: it does not ask for replicas. */
  readonly min_replicas_to_write?: number;
  readonly min_replicas_max_lag_s?: number;
}

/** Undefined: the node does not let us ask. */
interface ReplicaLimits {
  readonly toWrite: number | undefined;
  readonly maxLagS: number | undefined;
}

export async function readReplication(redis: Redis): Promise<Replication> {
  const [info, limits] = await Promise.all([redis.info('replication'), readLimits(redis)]);
  return describeReplication(info, limits);
}

/** CONFIG may be forbidden or renamed. Where Redis is away INFO says so. */
async function readLimits(redis: Redis): Promise<ReplicaLimits> {
  const asked = redis.call('CONFIG', 'GET', 'min-replicas-to-write', 'min-replicas-max-lag');
  const fields = await asked.then(readFields, () => new Map<string, string>());
  const number = (name: string) => (fields.has(name) ? Number(fields.get(name)) : undefined);
  return { toWrite: number('min-replicas-to-write'), maxLagS: number('min-replicas-max-lag') };
}

/** Pure: of INFO's section `replication`. */
export function describeReplication(info: string, limits: ReplicaLimits): Replication {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const offset = Number(field('master_repl_offset') ?? 0);
  // To Redis a limit of 0 is none.
  const maxLagS = limits.maxLagS || Number.POSITIVE_INFINITY;
  const replicas = [...info.matchAll(/^slave\d+:(.*?)\r?$/gm)].map(([, text = '']) =>
    readReplica(text, offset, maxLagS),
  );
  const role = field('role') ?? '';
  const counted = field('min_slaves_good_slaves');
  const inSync =
    counted === undefined ? replicas.filter(({ in_sync }) => in_sync).length : Number(counted);
  const reason =
    role === 'slave'
      ? 'the node that answers is a replica: only its primary takes writes'
      : whyTooFew(inSync, counted !== undefined, limits);
  return {
    role,
    replid: field('master_replid') ?? '',
    offset,
    replicas,
    replicas_in_sync: inSync,
    takes_writes: reason === undefined,
    ...(reason !== undefined && { refuses_because: reason }),
    ...(limits.toWrite !== undefined && { min_replicas_to_write: limits.toWrite }),
    ...(limits.maxLagS !== undefined && { min_replicas_max_lag_s: limits.maxLagS }),
  };
}

function readReplica(text: string, offset: number, maxLagS: number): ReplicaView {
  const parts = new Map(text.split(',').map((part) => part.split('=', 2) as [string, string]));
  const reached = Number(parts.get('offset') ?? 0);
  const link = parts.get('state') ?? 'unknown';
  const silentS = Number(parts.get('lag') ?? 0);
  return {
    address: `${parts.get('ip')}:${parts.get('port')}`,
    link,
    in_sync: link === 'online' && silentS <= maxLagS,
    offset: reached,
    behind_bytes: Math.max(0, offset - reached),
    silent_s: silentS,
  };
}

/** Redis counts its replicas only where it asks for some: then it asks for one at least. */
function whyTooFew(
  inSync: number,
  isCounted: boolean,
  { maxLagS, toWrite }: ReplicaLimits,
): string | undefined {
  if (!isCounted || inSync >= (toWrite ?? 1)) return undefined;
  const wanted = toWrite === undefined ? 'more' : `${toWrite}`;
  const within = maxLagS === undefined ? '' : `, heard from in the last ${maxLagS} s`;
  return `Redis takes no writes for want of replicas: ${inSync} in sync, and it wants ${wanted} (min-replicas-to-write)${within}`;
}
