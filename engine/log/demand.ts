/**
 * The furthest place of the log that somebody waits for, as whoever brings entries further has heard
 * of it (redis/demands.ts tells). What is demanded is brought at once; what is not may gather.
 */
import type { Redis } from 'ioredis';
import type { DemandedLevel } from '../redis/demands.ts';
import { laneKeys } from '../redis/keys.ts';
import { listen } from '../redis/place-messages.ts';
import { pause } from './pause.ts';
import { comparePlaces, type Place } from './place.ts';

export class Demand {
  #place: Place = { epoch: 0, seq: 0 };
  readonly #sleepers = new Set<AbortController>();

  /** Somebody waits for the entry at the place. */
  raise(place: Place): void {
    if (comparePlaces(place, this.#place) <= 0) return;
    this.#place = place;
    for (const sleeper of this.#sleepers) sleeper.abort();
  }

  /** Somebody waits for an entry behind the place. */
  isBeyond(place: Place): boolean {
    return comparePlaces(this.#place, place) > 0;
  }

  /** Resolves after `ms`; sooner when more is demanded than before, or the signal is aborted. */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    const sleeper = new AbortController();
    const wake = (): void => sleeper.abort();
    signal?.addEventListener('abort', wake);
    this.#sleepers.add(sleeper);
    await pause(ms, sleeper.signal);
    this.#sleepers.delete(sleeper);
    signal?.removeEventListener('abort', wake);
  }
}

/** A connection that is dead on the other side is found so, and made anew. */
const PING_MS = 5_000;

/** Hears of demands for these levels until the subscriber is ended. */
export function followDemand(
  subscriber: Redis,
  lane: number,
  levels: readonly DemandedLevel[],
): Demand {
  const demand = new Demand();
  const pings = setInterval(() => void subscriber.ping().catch(() => undefined), PING_MS);
  pings.unref();
  subscriber.once('end', () => clearInterval(pings));
  listen(subscriber, laneKeys(lane).demandChannel, ({ level, epoch, seq }) => {
    const isOurs = levels.some((each) => each === level);
    if (isOurs && Number.isSafeInteger(epoch) && Number.isSafeInteger(seq)) {
      demand.raise({ epoch, seq });
    }
  });
  return demand;
}
