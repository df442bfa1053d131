/** What every pass over Redis works on, and the one look that keeps the tail abreast. */
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import type { Findings } from './difference.ts';
import { type Command, type LaneReader, type Look, WrongType } from './lane-reader.ts';
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
export const PIECE_MAX = 256;
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

  /** Every field of the hashes that match, in pieces. */
  async *fields(pattern: string): AsyncGenerator<FieldAt[]> {
    let piece: FieldAt[] = [];
    for await (const keys of this.reader.scanKeys(pattern, SCAN_COUNT)) {
      for (const key of keys) {
        for await (const fields of this.#fieldsOf(key)) {
          for (const field of fields) {
            piece.push({ key, field });
            if (piece.length < PIECE_MAX) continue;
            yield piece;
            piece = [];
          }
        }
      }
    }
    if (piece.length > 0) yield piece;
  }

  /** None of a key that is no hash, which is a difference of its own. */
  async *#fieldsOf(key: string): AsyncGenerator<Buffer[]> {
    try {
      yield* this.reader.scanFields(key, PIECE_MAX);
    } catch (error) {
      if (!(error instanceof WrongType)) throw error;
      this.#tellOnce(`key ${key}`, 'Redis holds a key there that is no hash: nobody can read it');
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

export function inPieces<T>(items: readonly T[], size: number): T[][] {
  const pieces: T[][] = [];
  for (let i = 0; i < items.length; i += size) pieces.push(items.slice(i, i + size));
  return pieces;
}
