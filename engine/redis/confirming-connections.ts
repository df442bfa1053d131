/**
 * The connections of a lane on which scripts are followed by WAIT.
 *
 * WAIT speaks of the writes of its own connection, so it goes out in one write with the script; and
 * whatever is sent behind a WAIT stands still until it ends (378 ms were seen). So a connection
 * carries one script with its confirmations at a time, several take turns, and those that need no
 * WAIT never come here. States of a connection: unmade (until its first use), free, busy. It is
 * busy from `send` until its last confirmation ended.
 *
 * Behind the script, in this order: PUBLISH to nobody, because since Redis 7.2 WAIT counts from the
 * connection's last write, and a script that only reads would else be "confirmed" at once (seen on
 * 8.2); then for each confirmation the command, and a script that changes nothing and shows that
 * the node is still the same (confirmation.ts).
 */
import type { ChainableCommander, Redis } from 'ioredis';
import { SCRIPTS, type ScriptName } from '../../lua/generated/scripts.ts';
import type { RedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import { type Confirmation, isSameHistory, planConfirmations } from './confirmation.ts';
import { whenReady } from './connect.ts';
import { type DurabilitySupport, readNodeFacts, supportOf } from './durability-support.ts';
import { laneKeys } from './keys.ts';
import type { LaneStamp } from './operation.ts';
import { encodeSkus, isFenced, readStamp } from './operation-codec.ts';
import { isNoScript, scriptDigest } from './script.ts';

export interface ConnectionsOptions {
  readonly lane: number;
  /** Makes a connection whose commands may take longer than `waitMsMax`. */
  readonly connect: () => Redis;
  readonly connectionsMax: number;
  /** Replicas of the deployment. */
  readonly replicas: number;
  /** How long Redis waits for a confirmation. */
  readonly waitMsMax: number;
  /** The context of a script that changes nothing, as of now. */
  readonly context: () => Buffer;
  /** A connection is free again. */
  readonly onRoom: () => void;
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

export interface ConfirmingConnections {
  hasRoom(): boolean;
  /** Needs room. Resolves with the script's own reply, at once when that is there; rejects as Redis does. */
  send(
    script: ScriptName,
    args: readonly Buffer[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<ConfirmedReply>;
  close(): void;
}

interface Connection {
  redis: Redis | undefined;
  /** What the node behind it can confirm; unknown again when the connection broke. */
  support: DurabilitySupport | undefined;
  isBusy: boolean;
}

/** To be there for the first time; later, what is not there fails at once. */
const READY_MS_MAX = 2_000;
/** They follow each other on this connection; a new primary may know none of them. */
const SENT_SCRIPTS = ['submit', 'settle', 'availability'] as const satisfies readonly ScriptName[];

export function createConfirmingConnections(options: ConnectionsOptions): ConfirmingConnections {
  const connections: Connection[] = Array.from({ length: options.connectionsMax }, () => ({
    redis: undefined,
    support: undefined,
    isBusy: false,
  }));
  return {
    hasRoom: () => connections.some(({ isBusy }) => !isBusy),

    async send(script, args, levels) {
      const connection = connections.find(({ isBusy }) => !isBusy);
      if (connection === undefined) throw new Error('no connection is free to wait on');
      connection.isBusy = true;
      let group: Group | undefined;
      try {
        group = await startGroup(connection, script, args, levels, options);
        return await confirmedReply(group);
      } catch (error) {
        if (!isNoScript(error)) throw error;
        // Nothing ran: a SCRIPT FLUSH, or a node that was emptied.
        connection.support = undefined;
        await group?.ended;
        group = await startGroup(connection, script, args, levels, options);
        return await confirmedReply(group);
      } finally {
        void (group?.ended ?? Promise.resolve(true)).then((isConfirmed) => {
          // It may be another node now, or one that lost its scripts.
          if (!isConfirmed) connection.support = undefined;
          connection.isBusy = false;
          options.onRoom();
        });
      }
    },

    close() {
      for (const { redis } of connections) redis?.disconnect();
    },
  };
}

/** A new connection may lead to another node: it is asked what it can, and given the scripts. */
async function prepare(
  connection: Connection,
  options: ConnectionsOptions,
): Promise<{ redis: Redis; support: DurabilitySupport }> {
  if (connection.redis === undefined) {
    const made = options.connect();
    connection.redis = made;
    made.on('close', () => {
      connection.support = undefined;
    });
    await whenReady(made, READY_MS_MAX);
  }
  const { redis } = connection;
  if (connection.support === undefined) {
    const [facts] = await Promise.all([
      readNodeFacts(redis),
      ...SENT_SCRIPTS.map((name) => redis.script('LOAD', SCRIPTS[name].source)),
    ]);
    connection.support = supportOf(facts, options.replicas);
  }
  return { redis, support: connection.support };
}

/** A script and its confirmations, sent. Only `reply` rejects. */
interface Group {
  readonly reply: Promise<Buffer>;
  readonly confirmations: readonly {
    readonly level: RedisLevel;
    readonly isReached: Promise<boolean>;
    readonly check: Promise<unknown>;
  }[];
  /** All replies are there; whether every level was reached. */
  readonly ended: Promise<boolean>;
}

async function startGroup(
  connection: Connection,
  script: ScriptName,
  args: readonly Buffer[],
  levels: ReadonlySet<RedisLevel>,
  options: ConnectionsOptions,
): Promise<Group> {
  const { redis, support } = await prepare(connection, options);
  const plan = planConfirmations(levels, support, options.waitMsMax);
  return write(redis, script, args, plan, options);
}

/** One write; each promise ends with the reply to its own command. */
function write(
  redis: Redis,
  script: ScriptName,
  args: readonly Buffer[],
  plan: readonly Confirmation[],
  { lane, context }: ConnectionsOptions,
): Group {
  const keys = laneKeys(lane);
  const pipeline = redis.pipeline();
  const evaluate = (name: ScriptName, given: readonly Buffer[]): Promise<unknown> =>
    inPipeline(pipeline, 'EVALSHA', [scriptDigest(name), 1, keys.meta, ...given]);
  const reply = evaluate(script, args) as Promise<Buffer>;
  if (plan.length > 0) pipeline.publish(keys.waitChannel, '');
  const confirmations = plan.map(({ level, command, args: wanted, isReached }) => ({
    level,
    isReached: inPipeline(pipeline, command, wanted).then(isReached, () => false),
    check: evaluate('availability', [context(), encodeSkus([])]).catch(() => undefined),
  }));
  // Its own promise ends with the last reply; each command's is what counts here.
  pipeline.exec().catch(() => undefined);
  const ended = Promise.allSettled([
    reply,
    ...confirmations.flatMap(({ isReached, check }) => [isReached, check]),
  ]).then((results) => results.every((each) => each.status === 'fulfilled' && Boolean(each.value)));
  return { reply, confirmations, ended };
}

async function confirmedReply({ reply: coming, confirmations }: Group): Promise<ConfirmedReply> {
  const reply = await coming;
  const stamp = readStamp(new ByteReader(reply));
  if (isFenced(stamp)) return { reply, stamp: undefined, confirming: [] };
  const confirming = confirmations.map(({ level, isReached, check }) => ({
    level,
    ended: Promise.all([isReached, check]).then(
      ([reached, then]) => reached && isSameHistory(stamp, then),
    ),
  }));
  return { reply, stamp, confirming };
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
