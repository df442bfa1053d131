/** Places in a lane's log: (epoch, seq) gives the order, the nonce tells forks apart. */
import type { EntryKey } from '../events/entry.ts';

export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

/** Negative when `a` stands before `b`, 0 at the same place. */
export function comparePlaces(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

export function isSamePlace(a: Place, b: Place): boolean {
  return comparePlaces(a, b) === 0;
}

/** The very same entry, not one at the same place of a fork. */
export function isSameEntry(a: EntryKey, b: EntryKey): boolean {
  return a.epoch === b.epoch && a.seq === b.seq && a.nonce.equals(b.nonce);
}

/** `3-17`, as in the stream. */
export function showPlace(place: Place): string {
  return `${place.epoch}-${place.seq}`;
}
