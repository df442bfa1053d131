/**
 * Runs of reserves that want the same: so many units of one cell, for as long, each under a fresh
 * id. Nearly every request of a sale has this form, so what they have in common is sent, decided and
 * answered once, and the rest stands in columns that Lua takes as they are (lua/includes/runs.lua).
 */

import type { CellField, Sku } from '../domain/ids.ts';
import { outcomeByCode } from '../domain/outcome.ts';
import type { HeldRecord } from '../domain/reservation.ts';
import { addressOf, DUE_REFS, PACKED_ID_BYTES } from '../domain/reservation-id.ts';
import type { ByteReader } from '../events/bytes.ts';
import { ByteWriter, DecodeError } from '../events/bytes.ts';
import { type LaneKeys, laneKeys } from './keys.ts';
import type { LaneStamp, Operation, OperationResult, ReserveOperation } from './operation.ts';

const MADE_ID = 1;
/** In place of how many of a run hold: a batch has fewer operations. */
const ALL_HOLD = 0xffff;

interface Member {
  /** Index of the operation in its batch. */
  readonly index: number;
  readonly operation: ReserveOperation;
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

/** One line from one named cell, all or nothing, under an id that was made for it. */
export function standsInRun({ id, fresh, partial, lines }: ReserveOperation): boolean {
  if (!fresh || partial || lines.length !== 1 || lines[0]?.fields.length !== 1) return false;
  return id.length === PACKED_ID_BYTES && id[0] === MADE_ID;
}

/** Puts the operations of one batch into runs; everything is in the order in which they came. */
export class Runs {
  readonly cells: RunCell[] = [];
  /** The reserves of all runs, and beside each its run. */
  readonly members: ReserveOperation[] = [];
  readonly runOf: Run[] = [];
  readonly #byName = new Map<string, RunCell>();
  #last: Run | undefined;

  /** False: the operation has another form. */
  add(operation: Operation, index: number): boolean {
    if (operation.kind !== 'reserve' || !standsInRun(operation)) return false;
    const { lines, ttlS } = operation;
    const line = lines[0];
    const field = line?.fields[0];
    if (line === undefined || field === undefined) return false;
    const run = this.#runOf(line.sku, field, line.quantity, ttlS);
    run.members.push({ index, operation });
    this.members.push(operation);
    this.runOf.push(run);
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

/** The runs in the order of their answers, and ARGV[3] and those behind it, none when there is no run. */
export interface WrittenRuns {
  readonly runs: readonly Run[];
  readonly columns: readonly Buffer[];
}

/** Writes the runs as lua/commands/submit.lua has them; owns its buffers, so one to a lane. */
export class RunWriter {
  readonly #keys: LaneKeys;
  readonly #columns = new ByteWriter(8_192);
  readonly #references = new ByteWriter(DUE_REFS * (PACKED_ID_BYTES + 6));
  readonly #heads = new ByteWriter(1_024);

  constructor(lane: number) {
    this.#keys = laneKeys(lane);
  }

  clear(): void {
    this.#columns.clear();
    this.#references.clear();
    this.#heads.clear();
  }

  /** The cells and their runs go to `out`; numbers the runs. */
  write(out: ByteWriter, { cells, members, runOf }: Runs): WrittenRuns {
    out.u16(cells.length);
    if (cells.length === 0) return { runs: [], columns: [] };
    const runs = cells.flatMap((cell) => cell.runs);
    runs.forEach((run, number) => {
      run.number = number;
    });
    cells.forEach((cell, number) => {
      this.#writeCell(out, cell, number);
    });
    out.bytes16(this.#heads.take());
    const references = this.#writeReferences(out, members);
    const columns = this.#columns;
    for (const { fingerprint } of members) columns.raw(fingerprint);
    if (runs.length > 1) for (const { number } of runOf) columns.u16(number);
    for (const { attributes } of members) {
      if (attributes === '') columns.u16(0);
      else columns.bytes16(Buffer.from(attributes));
    }
    return { runs, columns: [columns.take(), ...references] };
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

  /** The references, so many in an argument, and to `out` how many follow one another in a bucket. */
  #writeReferences(out: ByteWriter, members: readonly ReserveOperation[]): Buffer[] {
    const references = this.#references;
    const pieces: Buffer[] = [];
    out.u16(members.length);
    const spansAt = out.length;
    out.u16(0);
    let spans = 0;
    let last = { generation: -1, bucket: -1 };
    let countAt = 0;
    let count = 0;
    members.forEach(({ id }, i) => {
      const address = addressOf(id);
      const { generation, bucket } = address;
      const isFull = i > 0 && i % DUE_REFS === 0;
      if (isFull) pieces.push(references.take());
      if (isFull || bucket !== last.bucket || generation !== last.generation) {
        out.u16(generation);
        out.u24(bucket);
        countAt = out.length;
        out.u16(0);
        last = address;
        count = 0;
        spans++;
      }
      out.patchU16(countAt, ++count);
      references.u16(generation);
      references.u24(bucket);
      references.bytes8(id);
    });
    out.patchU16(spansAt, spans);
    pieces.push(references.take());
    return pieces;
  }
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

/** Answers the members of all runs, each at its operation's index. */
export function readRuns(
  reader: ByteReader,
  stamp: LaneStamp,
  runs: readonly Run[],
  results: (OperationResult | undefined)[],
): void {
  if (runs.length === 0) return;
  const isWhole = reader.u8() === 1;
  for (const run of runs) {
    const held = isWhole ? ALL_HOLD : reader.u16();
    readRun(reader, stamp, run, held === ALL_HOLD ? run.members.length : held, results);
  }
}

function readRun(
  reader: ByteReader,
  stamp: LaneStamp,
  run: Run,
  held: number,
  results: (OperationResult | undefined)[],
): void {
  const lines = held === 0 ? [] : linesOf(run);
  const refusal = held === run.members.length ? undefined : readRefusal(reader, stamp, run);
  run.members.forEach(({ index, operation }, i) => {
    const result = i < held ? created(operation, lines, stamp) : refusal;
    if (result === undefined) throw new DecodeError(`${held} of ${run.members.length} hold`);
    results[index] = result;
  });
}

function linesOf({ cell: { sku, field }, units }: Run): HeldRecord['lines'] {
  return [{ line: 0, sku, requested: units, placements: [{ field, quantity: units }] }];
}

const NO_OPERATIONS: HeldRecord['operations'] = [];

/** The record that the script wrote: its times follow from the stamp. */
function created(
  { fingerprint, ttlS }: ReserveOperation,
  lines: HeldRecord['lines'],
  stamp: LaneStamp,
): OperationResult {
  const record: HeldRecord = {
    state: 'held',
    fingerprint,
    createdS: Math.floor(stamp.timeMs / 1_000),
    version: 1,
    deadlineS: Math.ceil((stamp.timeMs + ttlS * 1_000) / 1_000),
    lines,
    operations: NO_OPERATIONS,
  };
  return { outcome: 'created', replayed: false, stamp, record };
}

function readRefusal(reader: ByteReader, stamp: LaneStamp, { cell }: Run): OperationResult {
  const { sku, field } = cell;
  const code = reader.u8();
  const outcome = outcomeByCode(code);
  if (outcome === undefined) throw new DecodeError(`a lane gave outcome ${code}, which is unknown`);
  const available = reader.i64();
  return outcome === 'unreadable'
    ? { outcome, replayed: false, stamp, unreadable: { kind: 'cell', sku, field } }
    : { outcome, replayed: false, stamp, shortages: [{ line: 0, available }] };
}
