/** What every pass of one run works on, what it has counted, and what it has found so far. */
import type { Place } from '../../engine/log/place.ts';
import type { LaneState } from '../../engine/redis/lane-state.ts';
import type { CellName, RecordPlace } from './facts.ts';
import { showName } from './facts.ts';
import type { Finding } from './finding.ts';
import type { LaneLook } from './lane-look.ts';
import type { Stored } from './stored.ts';

export interface Scope {
  /** Only these SKUs and the reservations that have one of them. */
  readonly skus?: ReadonlySet<string>;
  /** Only what PostgreSQL changed behind this place. */
  readonly since?: Place;
}

export interface Counts {
  cells: number;
  records: number;
  holds: number;
  dueEntries: number;
  ledgerCells: number;
  /** What moved in every round and could not be followed through the log either. */
  unsettled: number;
}

export interface Run {
  readonly look: LaneLook;
  readonly state: Pick<LaneState, 'tail'>;
  readonly stored: Stored;
  readonly scope: Scope;
  readonly counts: Counts;
  readonly suspects: Suspects;
  readonly signal: AbortSignal;
  readonly progress: (phase: string) => void;
  /** Names the repairs of this run. */
  readonly id: string;
}

/** One repair more is a run more: so that a ruined store cannot fill the memory. */
export const SUSPECTS_MAX = 10_000;

/** Names of what differs: what is wrong with it is found out in one go at the end. */
export class Suspects {
  readonly cells = new Map<string, CellName>();
  readonly records = new Map<string, RecordPlace>();
  readonly products = new Set<string>();
  /** Differences that a look at Redis alone shows. */
  readonly found: Finding[] = [];
  /** Keys that should be hashes and are not: nothing in them can be compared, or repaired. */
  readonly noHashes = new Set<string>();
  /** Differences beyond SUSPECTS_MAX. */
  overflow = 0;

  addCell(name: CellName): void {
    this.#add(this.cells.size, () => this.cells.set(showName(name), name));
  }

  addRecord(place: RecordPlace): void {
    this.#add(this.records.size, () => {
      this.records.set(`${place.id} ${place.generation} ${place.bucket}`, place);
    });
  }

  addProduct(sku: string): void {
    this.#add(this.products.size, () => this.products.add(sku));
  }

  addNoHash(key: string): void {
    this.#add(this.noHashes.size, () => this.noHashes.add(key));
  }

  addFinding(finding: Finding): void {
    this.#add(this.found.length, () => this.found.push(finding));
  }

  #add(size: number, add: () => unknown): void {
    if (size >= SUSPECTS_MAX) this.overflow += 1;
    else add();
  }
}

export function inScope({ scope }: Run, sku: string): boolean {
  return scope.skus === undefined || scope.skus.has(sku);
}

/** How many keys the next look asks for, so that it reads about `wanted` things. */
export class Pace {
  readonly #wanted: number;
  readonly #keysMax: number;
  keys: number;

  constructor(wanted: number, keysMax: number) {
    this.#wanted = wanted;
    this.#keysMax = keysMax;
    this.keys = Math.min(32, keysMax);
  }

  learn(keys: number, things: number): void {
    const each = Math.max(things / Math.max(keys, 1), 0.1);
    const next = Math.min(Math.floor(this.#wanted / each), this.keys * 2, this.#keysMax);
    this.keys = Math.max(1, next);
  }
}

export async function* inPieces<T>(
  source: AsyncIterable<readonly T[]>,
  size: () => number,
): AsyncGenerator<T[]> {
  let piece: T[] = [];
  for await (const some of source) {
    for (const each of some) {
      piece.push(each);
      if (piece.length < size()) continue;
      yield piece;
      piece = [];
    }
  }
  if (piece.length > 0) yield piece;
}
