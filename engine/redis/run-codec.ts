/**
 * Runs of reserves that want the same: so many units of one cell, for as long, each under a fresh
 * id, or under one that was made of the client's key and must be looked for. Nearly every request of a sale
 * has this form, so what they have in common is sent, decided and answered once (`run-answers.ts`), and the
 * rest stands in columns that Lua takes as they are (lua/includes/runs.lua).
 */

import type { CellField, Sku } from '../domain/ids.ts';
import {
  addressOf,
  BLOCK_BUCKETS,
  DUE_REFS,
  generationOf,
  isKeyedId,
  isMadeId,
  PACKED_ID_BYTES,
} from '../domain/reservation-id.ts';
import { ByteWriter } from '../events/bytes.ts';
import { type LaneKeys, laneKeys } from './keys.ts';
import type { Operation, ReserveOperation } from './operation.ts';

/** A reserve in a run. */
export interface Member {
  /** Index of the operation in its batch. */
  readonly index: number;
  readonly operation: ReserveOperation;
  readonly run: Run;
}

/** The same request once more, in the same batch: it is not sent, and answered as a repeat of the first. */
export interface Repeat {
  readonly index: number;
  readonly first: Member;
}

export interface Run {
  readonly cell: RunCell;
  readonly units: number;
  readonly ttlS: number;
  /** Place of the run among those of its batch, once these are written. */
  number: number;
  readonly members: Member[];
}

/** A cell with the runs that want units of it. */
export interface RunCell {
  readonly sku: Sku;
  readonly field: CellField;
  readonly runs: Run[];
}

/** One line from one named cell, all or nothing, under an id that was made for it, or of the client's key. */
export function standsInRun(operation: ReserveOperation): boolean {
  const { id, fresh, partial, apart, lines } = operation;
  if (partial || lines.length !== 1 || lines[0]?.fields.length !== 1) return false;
  return fresh ? isMadeId(id) : isKeyedId(id) && apart !== true;
}

/** Puts the operations of one batch into runs; everything is in the order in which they came. */
export class Runs {
  readonly cells: RunCell[] = [];
  /** The reserves of all runs. */
  readonly members: Member[] = [];
  readonly repeats: Repeat[] = [];
  /** By a part of their ids: the first under each key, unless two keys share that part. */
  readonly #keyed = new Map<number, Member>();
  readonly #byName = new Map<string, RunCell>();
  #last: Run | undefined;

  /** False: the operation has another form. */
  add(operation: Operation, index: number): boolean {
    if (operation.kind !== 'reserve' || !standsInRun(operation)) return false;
    const { lines, ttlS } = operation;
    const line = lines[0];
    const field = line?.fields[0];
    if (line === undefined || field === undefined) return false;
    const first = operation.fresh ? undefined : this.#keyed.get(partOf(operation.id));
    if (first?.operation.id.equals(operation.id)) return this.#addBehind(first, operation, index);
    const run = this.#runOf(line.sku, field, line.quantity, ttlS);
    const member = { index, operation, run };
    run.members.push(member);
    this.members.push(member);
    if (!operation.fresh && first === undefined) this.#keyed.set(partOf(operation.id), member);
    return true;
  }

  /** Who asks for something else under the key is decided behind the runs. */
  #addBehind(first: Member, { fingerprint }: ReserveOperation, index: number): boolean {
    if (!first.operation.fingerprint.equals(fingerprint)) return false;
    this.repeats.push({ index, first });
    return true;
  }

  #runOf(sku: Sku, field: CellField, units: number, ttlS: number): Run {
    const last = this.#last;
    const isLast = last?.cell.sku === sku && last.cell.field === field;
    if (isLast && last.units === units && last.ttlS === ttlS) return last;
    const cell = isLast ? last.cell : this.#cellOf(sku, field);
    // A cell has few: mostly all want as many units for as long.
    let run = cell.runs.find((each) => each.units === units && each.ttlS === ttlS);
    if (run === undefined) {
      run = { cell, units, ttlS, number: 0, members: [] };
      cell.runs.push(run);
    }
    this.#last = run;
    return run;
  }

  #cellOf(sku: Sku, field: CellField): RunCell {
    const name = `${sku} ${field}`;
    let cell = this.#byName.get(name);
    if (cell === undefined) {
      cell = { sku, field, runs: [] };
      this.#byName.set(name, cell);
      this.cells.push(cell);
    }
    return cell;
  }
}

/** Of the digest that it is; a small number, which a map finds soonest. */
function partOf(id: Buffer): number {
  return ((id[1] ?? 0) << 22) | ((id[2] ?? 0) << 14) | ((id[3] ?? 0) << 6) | ((id[4] ?? 0) >> 2);
}

/** What the answers of runs belong to. */
export interface SentRuns {
  /** In the order of their answers. */
  readonly runs: readonly Run[];
  /** In the order of the columns. */
  readonly members: readonly Member[];
  readonly repeats: readonly Repeat[];
  /** Whether ids are looked for. */
  readonly isKeyed: boolean;
}

/** `columns`: ARGV[3] and those behind it, none when there is no run. */
export interface WrittenRuns extends SentRuns {
  readonly columns: readonly Buffer[];
}

/** Writes the runs as lua/commands/submit.lua has them; owns its buffers, so one to a lane. */
export class RunWriter {
  readonly #keys: LaneKeys;
  readonly #keyed = new ByteWriter(4_096);
  readonly #spans = new ByteWriter(1_024);
  readonly #columns = new ByteWriter(8_192);
  readonly #references = new ByteWriter(DUE_REFS * (PACKED_ID_BYTES + 6));
  readonly #heads = new ByteWriter(1_024);

  constructor(lane: number) {
    this.#keys = laneKeys(lane);
  }

  clear(): void {
    this.#keyed.clear();
    this.#spans.clear();
    this.#columns.clear();
    this.#references.clear();
    this.#heads.clear();
  }

  /** The cells and their runs go to `out`; numbers the runs. `timeMs`: lane time, as far as it is known. */
  write(out: ByteWriter, { cells, members, repeats }: Runs, timeMs: number): WrittenRuns {
    out.u16(cells.length);
    if (cells.length === 0) return { runs: [], members, repeats, isKeyed: false, columns: [] };
    const runs = cells.flatMap((cell) => cell.runs);
    runs.forEach((run, number) => {
      run.number = number;
    });
    const today = generationOf(timeMs);
    const { references, keyed, spans } = this.#place(members, today);
    out.u16(keyed);
    if (keyed > 0) out.u16(today);
    out.append(this.#keyed);
    cells.forEach((cell, number) => {
      this.#writeCell(out, cell, number);
    });
    out.bytes16(this.#heads.take());
    out.u16(members.length);
    out.u16(spans);
    out.append(this.#spans);
    const columns = this.#columns;
    for (const { operation } of members) columns.raw(operation.fingerprint);
    if (runs.length > 1) for (const { run } of members) columns.u16(run.number);
    for (const { operation } of members) {
      if (operation.attributes === '') columns.u16(0);
      else columns.bytes16(Buffer.from(operation.attributes));
    }
    return { runs, members, repeats, isKeyed: keyed > 0, columns: [columns.take(), ...references] };
  }

  #writeCell(out: ByteWriter, { sku, field, runs }: RunCell, number: number): void {
    out.ascii8(this.#keys.stock(sku));
    out.ascii8(field);
    out.u8(sku.length + field.length + 2);
    out.ascii8(sku);
    out.ascii8(field);
    runs.forEach(({ units, ttlS, members }, i) => {
      out.u32(units);
      out.u32(ttlS);
      out.u16(members.length);
      out.u16(i + 1 < runs.length ? 1 : 0);
      writeLine(out, sku, field, units);
      this.#heads.u16(number);
      this.#heads.u32(units);
    });
  }

  /**
   * Where the records will stand: the references, so many in an argument; how many follow one another in a
   * bucket (`#spans`); and the ids that are to be looked for (`#keyed`).
   */
  #place(members: readonly Member[], today: number): Placed {
    const references = this.#references;
    const pieces: Buffer[] = [];
    let keyed = 0;
    let spans = 0;
    let last = { generation: -1, bucket: -1 };
    let countAt = 0;
    let count = 0;
    members.forEach(({ operation: { id, fresh }, run }, place) => {
      const address = addressOf(id);
      // A record whose id names no day is made today. Those have a bucket each, so a row of them is one span.
      const generation = fresh ? address.generation : today;
      const bucket = fresh ? address.bucket : BLOCK_BUCKETS;
      const isFull = place > 0 && place % DUE_REFS === 0;
      if (isFull) pieces.push(references.take());
      if (isFull || bucket !== last.bucket || generation !== last.generation) {
        this.#spans.u16(generation);
        this.#spans.u24(bucket);
        countAt = this.#spans.length;
        this.#spans.u16(0);
        last = { generation, bucket };
        count = 0;
        spans++;
      }
      this.#spans.patchU16(countAt, ++count);
      references.u16(generation);
      references.u24(address.bucket);
      references.bytes8(id);
      if (fresh) return;
      keyed++;
      this.#keyed.u16(place);
      this.#keyed.u16(run.number);
      this.#keyed.ascii(String(address.bucket));
    });
    pieces.push(references.take());
    return { references: pieces, keyed, spans };
  }
}

interface Placed {
  readonly references: readonly Buffer[];
  readonly keyed: number;
  readonly spans: number;
}

/** The one line of the record, as events/hold-codec.ts has it. */
function writeLine(out: ByteWriter, sku: Sku, field: CellField, units: number): void {
  out.u8(sku.length + field.length + 13);
  out.u16(0);
  out.ascii8(sku);
  out.u32(units);
  out.u8(1);
  out.ascii8(field);
  out.u32(units);
}
