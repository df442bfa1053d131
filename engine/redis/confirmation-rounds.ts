/**
 * A script with its confirmations behind it, on a connection that carries nothing else meanwhile.
 *
 * In one write: the script; PUBLISH to nobody, because since Redis 7.2 WAIT counts from the
 * connection's last write, and a script that only reads would else be "confirmed" at once (seen on
 * 8.2); then the first round of each confirmation: what makes Redis wait, and the script `confirm`,
 * which changes nothing and shows that the node is still the same, and how many replicas must have
 * it (confirmation.ts). A round that was not enough is followed by another, which asks for as many
 * as that, until the time is up.
 */
import type { ChainableCommander, Redis } from 'ioredis';
import type { ScriptName } from '../../lua/generated/scripts.ts';
import type { RedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import { CONFIRM_ARGUMENT, type Confirmation, readNeeded } from './confirmation.ts';
import { laneKeys } from './keys.ts';
import type { NeededReplicas } from './needed-replicas.ts';
import type { LaneStamp } from './operation.ts';
import { isFenced, readStamp } from './operation-codec.ts';
import { scriptDigest } from './script.ts';

export interface RoundsOptions {
  readonly lane: number;
  /** How long Redis waits for a confirmation. */
  readonly waitMsMax: number;
  /** The context of a script that changes nothing, as of now. */
  readonly context: () => Buffer;
  /** One for all connections, which lead to one node. */
  readonly needed: NeededReplicas;
}

export interface Confirming {
  readonly level: RedisLevel;
  /** Never rejects: what failed did not confirm. */
  readonly ended: Promise<boolean>;
}

export interface ConfirmedReply {
  readonly reply: Buffer;
  /** Where the script left the lane; undefined when it was fenced, and nothing is confirmed. */
  readonly stamp: LaneStamp | undefined;
  readonly confirming: readonly Confirming[];
}

/** A script and its confirmations, sent. */
export interface Group {
  /** The script's own, as soon as that is there; rejects as Redis does. */
  readonly reply: Promise<ConfirmedReply>;
  /** All replies are there, and no more will be asked for; whether every level was reached. */
  readonly ended: Promise<boolean>;
}

export interface Script {
  readonly name: ScriptName;
  readonly args: readonly Buffer[];
}

/** WAIT goes on when the replica that it waits for is lost: after so long somebody looks. */
const ROUND_MS_MAX = 250;

/** One write, and further ones as long as a level is not reached. */
export function startGroup(
  redis: Redis,
  script: Script,
  plan: readonly Confirmation[],
  options: RoundsOptions,
): Group {
  const { needed } = options;
  const endMs = performance.now() + options.waitMsMax;
  const { meta, waitChannel } = laneKeys(options.lane);
  const pipeline = redis.pipeline();
  const sent = evaluate(pipeline, meta, script.name, script.args) as Promise<Buffer>;
  if (plan.length > 0) pipeline.publish(waitChannel, '');
  const firstMs = Math.min(ROUND_MS_MAX, options.waitMsMax);
  const firsts = plan.map((each) => ask(pipeline, each, needed.count, firstMs, options));
  send(pipeline);

  const stamp = sent.then(stampOf);
  const confirming = plan.map((confirmation, i) => ({
    level: confirmation.level,
    ended: confirm(confirmation, firsts[i] as Promise<Round>),
  }));

  async function confirm(confirmation: Confirmation, first: Promise<Round>): Promise<boolean> {
    const before = await stamp.catch(() => undefined);
    let round = await first;
    for (;;) {
      if (before === undefined || round.replies === undefined) return false;
      const shown = readNeeded(before, round.check);
      if (shown === undefined) return false;
      const count = needed.see(before.epoch, shown);
      if (confirmation.isReached(round.replies, count)) return true;
      const leftMs = Math.floor(endMs - performance.now());
      if (leftMs < 1) return false;
      const again = redis.pipeline();
      const asked = ask(again, confirmation, count, Math.min(ROUND_MS_MAX, leftMs), options);
      send(again);
      round = await asked;
    }
  }

  return {
    reply: Promise.all([sent, stamp]).then(([reply, at]) => ({
      reply,
      stamp: at,
      confirming: at === undefined ? [] : confirming,
    })),
    ended: Promise.allSettled([sent, ...confirming.map(({ ended }) => ended)]).then((results) =>
      results.every((each) => each.status === 'fulfilled' && Boolean(each.value)),
    ),
  };
}

interface Round {
  /** One to a command; undefined when one of them failed. */
  readonly replies: readonly unknown[] | undefined;
  /** Of the script `confirm`; undefined when it failed. */
  readonly check: unknown;
}

async function ask(
  pipeline: ChainableCommander,
  { commands }: Confirmation,
  needed: number,
  waitMs: number,
  { lane, context }: RoundsOptions,
): Promise<Round> {
  const replies = commands(needed, waitMs).map(([name, ...args]) =>
    inPipeline(pipeline, name, args),
  );
  const args = [context(), CONFIRM_ARGUMENT];
  const check = evaluate(pipeline, laneKeys(lane).meta, 'confirm', args);
  const [replied, checked] = await Promise.all([
    Promise.all(replies).catch(() => undefined),
    check.catch(() => undefined),
  ]);
  return { replies: replied, check: checked };
}

/** Its own promise ends with the last reply; each command's is what counts here. */
function send(pipeline: ChainableCommander): void {
  pipeline.exec().catch(() => undefined);
}

function stampOf(reply: Buffer): LaneStamp | undefined {
  const stamp = readStamp(new ByteReader(reply));
  return isFenced(stamp) ? undefined : stamp;
}

function evaluate(
  pipeline: ChainableCommander,
  key: string,
  name: ScriptName,
  args: readonly Buffer[],
): Promise<unknown> {
  return inPipeline(pipeline, 'EVALSHA', [scriptDigest(name), 1, key, ...args]);
}

function inPipeline(
  pipeline: ChainableCommander,
  command: string,
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    pipeline.callBuffer(command, ...args, (error?: Error | null, reply?: unknown) => {
      if (error) reject(error);
      else resolve(reply);
    });
  });
}
