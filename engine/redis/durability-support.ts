/**
 * What a Redis can confirm of the writes that it was given: how many replicas must have them, and
 * whether it can say that they are on its disk.
 */
import type { Redis } from 'ioredis';
import type { LevelLacks } from '../domain/durability.ts';

/**
 * How a node says that a write is on its disk. `waitaof`: on request (Redis 7.2, Valkey).
 * `reply`: each reply is behind the fsync (`appendfsync always`). `never`: not at all.
 */
export type FsyncProof = 'waitaof' | 'reply' | 'never';

export interface DurabilitySupport {
  /** Replicas of the deployment, whether they are there now or not. */
  readonly replicas: number;
  /** Replicas that must have a write, so that they and the primary are a majority; 0: none exist. */
  readonly quorum: number;
  readonly fsync: FsyncProof;
}

/** What a node says of itself; `undefined` where it must not be asked. */
export interface NodeFacts {
  readonly hasAof: boolean;
  readonly hasWaitAof: boolean;
  readonly appendFsync: string | undefined;
  readonly noFsyncOnRewrite: string | undefined;
}

/** The primary and `quorumOf(replicas)` of its replicas are a majority of the data nodes. */
export function quorumOf(replicas: number): number {
  return Math.floor((replicas + 1) / 2);
}

/** `replicas`: of the deployment (replica-count.ts). */
export function supportOf(facts: NodeFacts, replicas: number): DurabilitySupport {
  return { replicas, quorum: quorumOf(replicas), fsync: fsyncProofOf(facts) };
}

function fsyncProofOf(facts: NodeFacts): FsyncProof {
  if (!facts.hasAof) return 'never';
  if (facts.hasWaitAof) return 'waitaof';
  // While a rewrite runs, `no-appendfsync-on-rewrite yes` leaves the fsync out.
  const isAlways = facts.appendFsync === 'always' && facts.noFsyncOnRewrite === 'no';
  return isAlways ? 'reply' : 'never';
}

/** For people: the levels that cannot be given, and what to set to have them. */
export function lacksOf({ replicas, fsync }: DurabilitySupport): LevelLacks {
  return {
    ...(replicas === 0 && {
      replicated:
        'replicated needs replicas, and this Redis has none: attach some, and set ' +
        'HOLDFAST_REDIS_REPLICAS to their number where no Sentinel tells it',
    }),
    ...(fsync === 'never' && {
      fsync:
        'fsync needs a Redis that tells what is on its disk: set appendonly yes, and either run ' +
        'Redis 7.2 or newer, or set appendfsync always and no-appendfsync-on-rewrite no',
    }),
  };
}

/** Asks one node in one round trip. Rejects when it cannot be asked. */
export async function readNodeFacts(redis: Redis): Promise<NodeFacts> {
  const replies = await redis
    .pipeline()
    .info('persistence')
    .call('COMMAND', 'INFO', 'WAITAOF')
    .config('GET', 'appendfsync')
    .config('GET', 'no-appendfsync-on-rewrite')
    .exec();
  const [persistence, waitAof, appendFsync, onRewrite] = replies ?? [];
  // Where CONFIG is forbidden, as in some managed services, the settings are not known.
  return {
    hasAof: fieldOf(textOf(persistence), 'aof_enabled') === '1',
    hasWaitAof: isKnownCommand(waitAof),
    appendFsync: settingOf(appendFsync),
    noFsyncOnRewrite: settingOf(onRewrite),
  };
}

type PipelineReply = readonly [Error | null, unknown] | undefined;

function textOf(reply: PipelineReply): string {
  if (reply === undefined) throw new Error('Redis did not answer what it can confirm');
  const [error, value] = reply;
  if (error !== null) throw error;
  return String(value);
}

function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}

/** COMMAND INFO answers a list of one: the description, or null. */
function isKnownCommand(reply: PipelineReply): boolean {
  const [error, value] = reply ?? [];
  return error === null && Array.isArray(value) && Array.isArray(value[0]);
}

function settingOf(reply: PipelineReply): string | undefined {
  const [error, value] = reply ?? [];
  return error === null && Array.isArray(value) ? String(value[1]) : undefined;
}
