/** What every pass over Redis works on, and the one look that keeps the tail abreast. */
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import type { Findings } from './difference.ts';
import type { Command, HashFields, LaneReader, Look } from './lane-reader.ts';
import { inPieces } from './pieces.ts';
import type { Snapshot } from './snapshot.ts';
import type { LogTail } from './tail.ts';

export interface LaneViewDeps {
  readonly reader: LaneReader;
  readonly keys: LaneKeys;
  readonly snapshot: Snapshot;
  readonly tail: LogTail;
  readonly findings: Findings;
}

export interface FieldAt {
  readonly key: string;
  readonly field: Buffer;
}

/** Cells or records that one look reads: some hundred KB. */
export const PIECE_MAX = 1000;
/** The same of hashes whose names alone are asked for; one that is bigger comes in pieces. */
const HASHES_MAX = 64;
const FIELDS_MAX = 256;
const SCAN_COUNT = 500;

export class LaneView {
  readonly reader: LaneReader;
  readonly keys: LaneKeys;
  readonly snapshot: Snapshot;
  readonly tail: LogTail;
  readonly findings: Findings;
  readonly #unreadable = new Set<string>();

  constructor(deps: LaneViewDeps) {
    this.reader = deps.reader;
    this.keys = deps.keys;
    this.snapshot = deps.snapshot;
    this.tail = deps.tail;
    this.findings = deps.findings;
  }

  /** Reads at one position, and brings the tail there. */
  async look(commands: readonly Command[] = []): Promise<Look> {
    const look = await this.reader.look(this.tail.position, commands);
    this.tail.feed(look.entries);
    return look;
  }

  /**
   * Every field of the hashes that match, those of a hash together or in pieces; of those alone
   * that are `wanted` for the number of their fields.
   */
  async *hashes(
    pattern: string,
    isWanted: (key: string, length: number) => boolean,
  ): AsyncGenerator<HashFields> {
    for await (const keys of this.reader.scanKeys(pattern, SCAN_COUNT)) {
      const lengths = await this.reader.hashLengths(keys);
      const wanted = keys.filter((key, i) => {
        const length = lengths[i];
        if (length !== undefined) return isWanted(key, length);
        const explanation = 'Redis holds a key there that is no hash: nobody can read it';
        this.#tellOnce(`key ${key}`, explanation);
        return false;
      });
      for (const some of inPieces(wanted, HASHES_MAX)) {
        for await (const found of this.reader.scanHashes(some, FIELDS_MAX)) yield* found;
      }
    }
  }

  /** Reads bytes; what cannot be read is a difference of its own, told once. */
  readable<T>(where: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnreadableBytes)) throw error;
      this.#tellOnce(where, `Redis holds bytes that nobody can read: ${error.message}`);
      return undefined;
    }
  }

  #tellOnce(where: string, explanation: string): void {
    if (this.#unreadable.has(where)) return;
    this.#unreadable.add(where);
    this.findings.add({ invariant: 'entry', where, explanation });
  }
}
