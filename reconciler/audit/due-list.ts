/**
 * The deadlines of a lane: which hold is looked at in which second. The audit keeps a number of 52
 * bits for each reference, 8 bytes and the set's own cost, however long its id is.
 *
 *   deadlines     sorted set of seconds
 *   due:<second>  list; an element is a run of: u16 generation, u24 bucket, u8+ packed id
 */
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { Cursor } from '../../engine/testing/auditor/cursor.ts';
import { idText } from '../../engine/testing/auditor/decode-record.ts';
import type { LaneReader } from './lane-reader.ts';
import { asBytes, asList } from './lane-reader.ts';

export interface DueReference {
  readonly generation: number;
  readonly bucket: number;
  readonly id: string;
}

/** Elements hold up to 128 references, so this is a piece of about 200 KB. */
const ELEMENTS_MAX = 64;
const SECONDS_MAX = 1000;

export class DueList {
  readonly #reader: LaneReader;
  readonly #keys: LaneKeys;
  readonly #references = new Set<number>();

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
      for (const second of seconds) await this.#loadSecond(second);
      const last = seconds.at(-1);
      if (last === undefined || seconds.length < SECONDS_MAX) return;
      from = `(${last}`;
    }
  }

  async #loadSecond(second: number): Promise<void> {
    for (let at = 0; ; at += ELEMENTS_MAX) {
      const [reply] = await this.#reader.ask([
        ['LRANGE', this.#keys.due(second), at, at + ELEMENTS_MAX - 1],
      ]);
      const elements = asList(reply).map(asBytes);
      for (const element of elements) {
        for (const reference of readReferences(element, second)) {
          this.#references.add(digest(second, reference));
        }
      }
      if (elements.length < ELEMENTS_MAX) return;
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
    references.push({ generation, bucket, id: idText(cursor.bytes(cursor.uint8())) });
  }
  return references;
}

/** Two runs of a 26-bit multiplicative hash; a chance meeting would only hide a missing deadline. */
function digest(second: number, { generation, bucket, id }: DueReference): number {
  const text = `${second} ${generation} ${bucket} ${id}`;
  let high = 7;
  let low = 11;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193) >>> 0;
    low = Math.imul(low + code, 0x85ebca6b) >>> 0;
    low ^= low >>> 13;
  }
  return (high % 2 ** 26) * 2 ** 26 + ((low >>> 0) % 2 ** 26);
}
