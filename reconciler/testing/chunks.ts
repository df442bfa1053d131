/** Reads what a RestoreChunk says, by the layout in lua/commands/restore.lua. */
import { idOfField } from '../../engine/domain/reservation-id.ts';
import { ByteReader } from '../../engine/events/bytes.ts';
import type { RestoreChunk } from '../../engine/redis/lane-state.ts';

export interface ChunkContent {
  readonly hashes: readonly {
    readonly key: string;
    readonly field: Buffer;
    readonly value: Buffer;
  }[];
  readonly gone: readonly { readonly key: string; readonly field: Buffer }[];
  /** Of all seconds. */
  readonly references: number;
}

export function readChunk({ bytes }: RestoreChunk): ChunkContent {
  const reader = new ByteReader(bytes);
  const hashes = [];
  for (let left = reader.u16(); left > 0; left--) {
    const key = reader.ascii8();
    for (let fields = reader.u16(); fields > 0; fields--) {
      hashes.push({ key, field: reader.bytes8(), value: reader.bytes32() });
    }
  }
  const gone = [];
  for (let left = reader.u16(); left > 0; left--) {
    const key = reader.ascii8();
    for (let fields = reader.u16(); fields > 0; fields--)
      gone.push({ key, field: reader.bytes8() });
  }
  let references = 0;
  for (let left = reader.u16(); left > 0; left--) {
    reader.u32();
    references += countReferences(new ByteReader(reader.bytes32()));
  }
  if (!reader.done) throw new TypeError(`a chunk of ${reader.at} bytes came in ${bytes.length}`);
  return { hashes, gone, references };
}

function countReferences(reader: ByteReader): number {
  let count = 0;
  for (; !reader.done; count++) {
    reader.u16();
    reader.u24();
    reader.bytes8();
  }
  return count;
}

/** Packed ids of the records, in hex, sorted. */
export function idsOf(chunks: readonly RestoreChunk[]): string[] {
  return chunks
    .flatMap((chunk) => readChunk(chunk).hashes)
    .flatMap(({ key, field }) => {
      const [, generation, bucket] = /:hold:(\d+):(\d+)$/.exec(key)?.map(Number) ?? [];
      if (generation === undefined || bucket === undefined) return [];
      return [idOfField(field, { lane: 0, generation, bucket }).toString('hex')];
    })
    .sort();
}
