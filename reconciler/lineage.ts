/**
 * Does the stream of a lane in Redis continue what PostgreSQL has applied? Every entry names its
 * predecessor by epoch, sequence number and nonce, so the answer is read off the chain that ends at
 * the stream's last entry (`lineage` in the model of the protocol):
 *
 *   PostgreSQL's position is on the chain             tail     what stands behind it must be relayed
 *   PostgreSQL has applied the chain's last entry     nothing  Redis is behind or level
 *   ... or only what the chain follows                fork     other entries came after: rebuild
 *   ... not even that                                 behind   PostgreSQL lacks what Redis builds on
 *
 * The chain is followed forwards, in pieces, from PostgreSQL's position on, so that memory is
 * bounded however long the stream is. That gives what a walk backwards from the last entry gives,
 * because an entry's predecessor is the one before it in the stream or is not in the stream at all:
 * `opened` names PostgreSQL's head, which is Redis's own last entry or one that Redis never had.
 * A stream in which it is otherwise was written by no protocol of ours; it is never called a tail.
 */
import type { EntryKey } from '../engine/events/entry.ts';
import { isSameEntry, type Place } from '../engine/log/place.ts';

export interface Link {
  readonly key: EntryKey;
  readonly predecessor: EntryKey;
}

export type Lineage =
  /** `count` entries stand behind `after`, `head` is the last of them. */
  | { kind: 'tail'; count: number; after: Place; head: EntryKey }
  | { kind: 'nothing' }
  /** `base` is what the chain's oldest entry follows. */
  | { kind: 'fork'; base: EntryKey }
  | { kind: 'behind'; base: EntryKey };

/** The stream and meta of a closed lane, and what PostgreSQL knows. */
export interface LineageSource {
  /** Links behind a place, oldest first, a bounded number; empty: there are no more. */
  readonly linksAfter: (place: Place) => Promise<readonly Link[]>;
  /** meta's position; NEVER when there is none. */
  readonly last: EntryKey;
  /** An entry stands behind meta's position. */
  readonly halfDone: boolean;
  /** Was exactly this entry applied? NEVER always was. */
  readonly isApplied: (key: EntryKey) => Promise<boolean>;
}

export const STREAM_START: Place = { epoch: 0, seq: 0 };

/** The unbroken run of entries that ends with the last one pushed. */
export class Chain {
  readonly #position: EntryKey;
  #last: EntryKey | undefined;
  #base: EntryKey | undefined;
  /** Behind which the tail begins; undefined: PostgreSQL's position is not on the run. */
  #after: Place | undefined;
  #count = 0;

  constructor(position: EntryKey) {
    this.#position = position;
  }

  push(link: Link): void {
    const { key, predecessor } = link;
    if (this.#last === undefined || !isSameEntry(predecessor, this.#last)) {
      this.#base = predecessor;
      const isNext = isSameEntry(predecessor, this.#position);
      this.#after = isNext ? { epoch: key.epoch, seq: key.seq - 1 } : undefined;
      this.#count = 0;
    }
    this.#last = key;
    this.#count++;
    if (isSameEntry(key, this.#position)) {
      this.#after = key;
      this.#count = 0;
    }
  }

  /** The last entry pushed. */
  get last(): EntryKey | undefined {
    return this.#last;
  }

  /** What the oldest entry of the run follows. */
  get base(): EntryKey | undefined {
    return this.#base;
  }

  /** The entries behind PostgreSQL's position, when that is on the run. */
  get tail(): { readonly after: Place; readonly count: number } | undefined {
    return this.#after === undefined ? undefined : { after: this.#after, count: this.#count };
  }
}

export async function traceLineage(source: LineageSource, position: EntryKey): Promise<Lineage> {
  // The position itself is read too: its nonce in the stream says whether it is the same entry.
  const newer = await follow(source, position, {
    epoch: position.epoch,
    seq: Math.max(0, position.seq - 1),
  });
  if (newer.tail !== undefined && newer.last !== undefined) {
    return newer.tail.count === 0
      ? { kind: 'nothing' }
      : { kind: 'tail', ...newer.tail, head: newer.last };
  }
  const top = newer.last ?? (await lastEntry(source, position));
  if (await source.isApplied(top)) return { kind: 'nothing' };
  const whole = await follow(source, position, STREAM_START);
  const base = whole.base ?? top;
  return { kind: (await source.isApplied(base)) ? 'fork' : 'behind', base };
}

async function follow(source: LineageSource, position: EntryKey, from: Place): Promise<Chain> {
  const chain = new Chain(position);
  let place = from;
  for (;;) {
    const links = await source.linksAfter(place);
    for (const link of links) chain.push(link);
    if (chain.last === undefined || links.length === 0) return chain;
    place = chain.last;
  }
}

/** When nothing stands at or behind PostgreSQL's position: meta knows, unless a script died. */
async function lastEntry(source: LineageSource, position: EntryKey): Promise<EntryKey> {
  if (!source.halfDone) return source.last;
  return (await follow(source, position, source.last)).last ?? source.last;
}
