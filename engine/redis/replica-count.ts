/**
 * How many replicas a deployment has, whether they are there now or not: what somebody set, else what
 * the Sentinels count, else what is attached now.
 */
import type { Redis } from 'ioredis';
import { askSentinels, replicasSeen } from './sentinel-opinion.ts';

export interface Deployment {
  readonly redisUrl: string;
  readonly redisLocalAddress: string | undefined;
  /** HOLDFAST_REDIS_REPLICAS. */
  readonly redisReplicas: number | undefined;
}

export async function countReplicas(
  { redisUrl, redisLocalAddress, redisReplicas }: Deployment,
  redis: Redis,
): Promise<number> {
  if (redisReplicas !== undefined) return redisReplicas;
  const seen = replicasSeen(await askSentinels(redisUrl, redisLocalAddress));
  if (seen !== undefined) return seen;
  const attached = /^connected_slaves:(\d+)/m.exec(await redis.info('replication'))?.[1];
  return Number(attached ?? 0);
}
