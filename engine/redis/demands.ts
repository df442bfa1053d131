/**
 * Tells those who bring entries further (relay, persister) that somebody waits for a level at a
 * place. They gather for long what nobody waits for. A message that is lost costs time alone: who
 * still waits says so again, and what nobody told of is brought further all the same.
 */
import type { Redis } from 'ioredis';
import { laneKeys } from './keys.ts';
import { showPlaceMessage } from './place-messages.ts';

export type DemandedLevel = 'logged' | 'persisted';

export type TellDemand = (
  level: DemandedLevel,
  place: { readonly epoch: number; readonly seq: number },
) => void;

export function createDemands(redis: Redis, lane: number): TellDemand {
  const { demandChannel } = laneKeys(lane);
  return (level, { epoch, seq }) => {
    const message = showPlaceMessage({ level, epoch, seq });
    redis.publish(demandChannel, message).catch(ignoreUntilToldAgain);
  };
}

function ignoreUntilToldAgain(): void {}
