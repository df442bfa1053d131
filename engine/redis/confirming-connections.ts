/**
 * The connections of a lane on which scripts are followed by WAIT.
 *
 * WAIT speaks of the writes of its own connection, so it goes out in one write with the script; and
 * whatever is sent behind a WAIT stands still until it ends (378 ms were seen). So a connection
 * carries one script with its confirmations at a time, several take turns, and those that need no
 * WAIT never come here. States of a connection: unmade (until its first use), free, busy. It is
 * busy from `send` until its last confirmation ended. What is sent on it: confirmation-rounds.ts.
 */
import type { Redis } from 'ioredis';
import { SCRIPTS, type ScriptName } from '../../lua/generated/scripts.ts';
import type { RedisLevel } from '../domain/durability.ts';
import { planConfirmations } from './confirmation.ts';
import {
  type ConfirmedReply,
  type Group,
  type RoundsOptions,
  type Script,
  startGroup,
} from './confirmation-rounds.ts';
import { whenReady } from './connect.ts';
import { type DurabilitySupport, readNodeFacts, supportOf } from './durability-support.ts';
import { isNoScript } from './script.ts';

export interface ConnectionsOptions extends RoundsOptions {
  /** Makes a connection whose commands may take longer than `waitMsMax`. */
  readonly connect: () => Redis;
  readonly connectionsMax: number;
  /** Replicas of the deployment. */
  readonly replicas: number;
  /** A connection is free again. */
  readonly onRoom: () => void;
}

export interface ConfirmingConnections {
  hasRoom(): boolean;
  /** Needs room. Resolves with the script's own reply, at once when that is there; rejects as Redis does. */
  send(
    name: ScriptName,
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
const SENT_SCRIPTS = ['submit', 'settle', 'confirm'] as const satisfies readonly ScriptName[];

export function createConfirmingConnections(options: ConnectionsOptions): ConfirmingConnections {
  const connections: Connection[] = Array.from({ length: options.connectionsMax }, () => ({
    redis: undefined,
    support: undefined,
    isBusy: false,
  }));

  const start = async (
    connection: Connection,
    script: Script,
    levels: ReadonlySet<RedisLevel>,
  ): Promise<Group> => {
    const { redis, support } = await prepare(connection, options);
    return startGroup(redis, script, planConfirmations(levels, support), options);
  };

  return {
    hasRoom: () => connections.some(({ isBusy }) => !isBusy),

    async send(name, args, levels) {
      const connection = connections.find(({ isBusy }) => !isBusy);
      if (connection === undefined) throw new Error('no connection is free to wait on');
      connection.isBusy = true;
      const script = { name, args };
      let group: Group | undefined;
      try {
        group = await start(connection, script, levels);
        return await group.reply;
      } catch (error) {
        if (!isNoScript(error)) throw error;
        // Nothing ran: a SCRIPT FLUSH, or a node that was emptied.
        connection.support = undefined;
        await group?.ended;
        group = await start(connection, script, levels);
        return await group.reply;
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
