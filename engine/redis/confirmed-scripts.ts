/**
 * Runs a lane's scripts so that Redis confirms what they wrote, and knows who waits for that.
 *
 * Path of one: `run` sends the script with its confirmations behind it (confirming-connections.ts)
 * and announces them to the waits (replica-waits.ts) before it gives the script's reply; whoever
 * needs the level then waits for the position in the reply. A wait that nothing under way covers,
 * as that of a retry whose level was not known before its answer, gets a confirmation of its own,
 * behind a script that changes nothing.
 */
import type { Redis } from 'ioredis';
import type { ScriptName } from '../../lua/generated/scripts.ts';
import type { RedisLevel } from '../domain/durability.ts';
import { CONFIRM_ARGUMENT } from './confirmation.ts';
import type { ConfirmedReply } from './confirmation-rounds.ts';
import { createConfirmingConnections } from './confirming-connections.ts';
import { NeededReplicas } from './needed-replicas.ts';
import type { LaneStamp } from './operation.ts';
import { ReplicaWaits } from './replica-waits.ts';

/** What of a deployment must be known to wait for its replicas. */
export interface ConfirmingOptions {
  /** Makes a connection whose commands may take longer than `waitMsMax`. */
  readonly connect: () => Redis;
  /** Replicas of the deployment, whether they are there now or not. */
  readonly replicas: number;
  readonly waitMsMax: number;
}

/** Who waits for what Redis confirms. */
export interface ConfirmedWaits {
  /** Calls `done` once, when the level is known to cover the stamp, or that it will not be said. */
  wait(level: RedisLevel, stamp: LaneStamp, done: (reached: boolean) => void): void;
  waiting(): number;
}

export interface ConfirmedScripts extends ConfirmedWaits {
  /** Whether `run` could send at once; it needs that. */
  hasRoom(): boolean;
  run(
    script: ScriptName,
    args: readonly Buffer[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<Buffer>;
  close(): void;
}

/** Batches that wait at a time; while all do, further ones are gathered. */
const BATCH_CONNECTIONS = 3;
/** Questions about what was not confirmed with its batch; one look serves all who asked before. */
const PROBE_CONNECTIONS = 1;

export function createConfirmedScripts(
  options: ConfirmingOptions & {
    readonly lane: number;
    readonly context: () => Buffer;
    readonly onRoom: () => void;
    readonly onError: (error: Error) => void;
  },
): ConfirmedScripts {
  const needed = new NeededReplicas(options.replicas, () => performance.now());
  const shared = { ...options, needed };
  const batches = createConfirmingConnections({ ...shared, connectionsMax: BATCH_CONNECTIONS });
  const probes = createConfirmingConnections({
    ...shared,
    connectionsMax: PROBE_CONNECTIONS,
    onRoom: () => undefined,
  });

  const announce = ({ stamp, confirming }: ConfirmedReply): Promise<unknown> => {
    if (stamp === undefined) return Promise.resolve();
    return Promise.all(
      confirming.map(({ level, ended }) => ended.then(waits.expect(level, stamp))),
    );
  };

  const waits = new ReplicaWaits(async (levels) => {
    const changesNothing = [options.context(), CONFIRM_ARGUMENT];
    try {
      await announce(await probes.send('confirm', changesNothing, levels));
    } catch (error) {
      options.onError(error as Error);
    }
  });

  return {
    wait: (level, stamp, done) => waits.wait(level, stamp, done),
    waiting: () => waits.waiting,
    hasRoom: () => batches.hasRoom(),
    async run(script, args, levels) {
      const confirmed = await batches.send(script, args, levels);
      void announce(confirmed);
      return confirmed.reply;
    },
    close() {
      waits.close();
      batches.close();
      probes.close();
    },
  };
}
