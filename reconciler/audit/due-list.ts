/**
 * The deadlines of a lane: which hold is looked at in which second. The audit keeps a digest of each
 * reference, however long its id is.
 *
 *   deadlines     sorted set of seconds
 *   due:<second>  list; an element is a run of: u16 generation, u24 bucket, u8+ packed id
 */
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { asBuffer, Cursor } from '../../engine/testing/auditor/cursor.ts';
import { requireId } from '../../engine/testing/auditor/decode-record.ts';
import { Digests, digestOf } from './digests.ts';
import type { Command, LaneReader } from './lane-reader.ts';
import { asBytes, asList } from './lane-reader.ts';
import { inPieces } from './pieces.ts';

export interface DueReference {
  readonly generation: number;
  readonly bucket: number;
  readonly packed: Buffer;
}

/** Elements hold up to 128 references, mostly far fewer. */
const ELEMENTS_MAX = 128;
const SECONDS_MAX = 1000;
/** Of which the first elements are asked for at once. */
const AT_ONCE = 8;

export class DueList {
  readonly #reader: LaneReader;
  readonly #keys: LaneKeys;
  readonly #references = new Digests();

  constructor(reader: LaneReader, keys: LaneKeys) {
    this.#reader = reader;
    this.#keys = keys;
  }

  /** Reads all deadlines as they are now; later ones are asked for one by one (`isDue`). */
  async load(): Promise<void> {
    for (let from = '-inf'; ; ) {
      const [reply] = await this.#reader.ask([
        ['ZRANGEBYSCORE', this.#keys.deadlines, from, '+inf', 'LIMIT', 0, SECONDS_MAX],
      ]);
      const seconds = asList(reply).map(Number);
      for (const some of inPieces(seconds, AT_ONCE)) await this.#loadSeconds(some);
      const last = seconds.at(-1);
      if (last === undefined || seconds.length < SECONDS_MAX) return;
      from = `(${last}`;
    }
  }

  async #loadSeconds(seconds: readonly number[]): Promise<void> {
    let open = seconds;
    for (let at = 0; open.length > 0; at += ELEMENTS_MAX) {
      const lists = await this.#reader.ask(
        open.map((second): Command => {
          return ['LRANGE', this.#keys.due(second), at, at + ELEMENTS_MAX - 1];
        }),
      );
      open = open.filter((second, i) => {
        const elements = asList(lists[i]).map(asBytes);
        for (const element of elements) this.#add(second, element);
        return elements.length === ELEMENTS_MAX;
      });
    }
  }

  #add(second: number, element: Buffer): void {
    for (const reference of readReferences(element, second)) {
      this.#references.add(digest(second, reference));
    }
  }

  has(second: number, reference: DueReference): boolean {
    return this.#references.has(digest(second, reference));
  }
}

export function readReferences(element: Uint8Array, second: number): DueReference[] {
  const cursor = new Cursor(element, `deadlines of second ${second}`);
  const references: DueReference[] = [];
  while (!cursor.done) {
    const generation = cursor.uint16();
    const bucket = cursor.uint8() * 65_536 + cursor.uint16();
    const packed = asBuffer(cursor.bytes(cursor.uint8()));
    requireId(packed);
    references.push({ generation, bucket, packed });
  }
  return references;
}

function digest(second: number, { generation, bucket, packed }: DueReference): number {
  return digestOf(packed, second, generation, bucket);
}
