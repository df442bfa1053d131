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
import type { LaneStamp, Operation, OperationResult, ReserveOperation } from './operation.ts';

const MADE_ID = 1;

interface Member {
  /** Index of the operation in its batch. */
  readonly index: number;
  readonly operation: ReserveOperation;
}

export interface Run {
  readonly sku: Sku;
  readonly field: CellField;
  readonly units: number;
  readonly ttlS: number;
  /** Place of the run among those of its batch. */
  readonly number: number;
  readonly members: Member[];
}

/** Puts the operations of one batch into runs; everything is in the order in which they came. */
export class Runs {
  readonly list: Run[] = [];
  /** The reserves of all runs, and beside each its run. */
  readonly members: ReserveOperation[] = [];
  readonly runOf: Run[] = [];
  readonly #byTerms = new Map<string, Run>();
  #last: Run | undefined;

  /** False: the operation has another form. */
  add(operation: Operation, index: number): boolean {
    if (operation.kind !== 'reserve' || !operation.fresh || operation.partial) return false;
    const { id, lines, ttlS } = operation;
    const line = lines[0];
    const field = line?.fields[0];
    if (line === undefined || lines.length > 1) return false;
    if (field === undefined || line.fields.length > 1) return false;
    if (id.length !== PACKED_ID_BYTES || id[0] !== MADE_ID) return false;
    const run = this.#runOf(line.sku, field, line.quantity, ttlS);
    run.members.push({ index, operation });
    this.members.push(operation);
    this.runOf.push(run);
    return true;
  }

  #runOf(sku: Sku, field: CellField, units: number, ttlS: number): Run {
    const last = this.#last;
    if (last?.sku === sku && last.field === field && last.units === units && last.ttlS === ttlS) {
      return last;
    }
    const terms = `${units} ${ttlS} ${sku} ${field}`;
    let run = this.#byTerms.get(terms);
    if (run === undefined) {
      run = { sku, field, units, ttlS, number: this.list.length, members: [] };
      this.#byTerms.set(terms, run);
      this.list.push(run);
    }
    this.#last = run;
    return run;
  }
}

/** Writes the runs as lua/commands/submit.lua has them; owns its buffer, so one to a lane. */
export class RunWriter {
  readonly #columns = new ByteWriter(8_192);
  readonly #references = new ByteWriter(DUE_REFS * (PACKED_ID_BYTES + 6));

  /** The runs go to `out`; gives ARGV[3] and those behind it, none when there is no run. */
  write(out: ByteWriter, runs: Runs): Buffer[] {
    out.u16(runs.list.length);
    if (runs.list.length === 0) return [];
    for (const run of runs.list) writeRun(out, run);
    const references = this.#writeReferences(out, runs.members);
    const columns = this.#columns;
    for (const { fingerprint } of runs.members) columns.raw(fingerprint);
    if (runs.list.length > 1) for (const { number } of runs.runOf) columns.u16(number);
    for (const { attributes } of runs.members) {
      if (attributes === '') columns.u16(0);
      else columns.bytes16(Buffer.from(attributes));
    }
    return [columns.take(), ...references];
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

function writeRun(out: ByteWriter, { sku, field, units, ttlS, members }: Run): void {
  out.u32(units);
  out.u32(ttlS);
  out.u16(members.length);
  out.ascii8(sku);
  out.ascii8(field);
  // The one line of the record, as events/hold-codec.ts has it.
  out.u8(sku.length + field.length + 13);
  out.u16(0);
  out.ascii8(sku);
  out.u32(units);
  out.u8(1);
  out.ascii8(field);
  out.u32(units);
}

/** Answers the members of the run, each at its operation's index. */
export function readRun(
  reader: ByteReader,
  stamp: LaneStamp,
  run: Run,
  results: OperationResult[],
): void {
  const held = reader.u16();
  const lines = held === 0 ? [] : linesOf(run);
  const refusal = held === run.members.length ? undefined : readRefusal(reader, stamp, run);
  run.members.forEach(({ index, operation }, i) => {
    const result = i < held ? created(operation, lines, stamp) : refusal;
    if (result === undefined) throw new DecodeError(`${held} of ${run.members.length} hold`);
    results[index] = result;
  });
}

function linesOf({ sku, field, units }: Run): HeldRecord['lines'] {
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

function readRefusal(reader: ByteReader, stamp: LaneStamp, { sku, field }: Run): OperationResult {
  const code = reader.u8();
  const outcome = outcomeByCode(code);
  if (outcome === undefined) throw new DecodeError(`a lane gave outcome ${code}, which is unknown`);
  const available = reader.i64();
  return outcome === 'unreadable'
    ? { outcome, replayed: false, stamp, unreadable: { kind: 'cell', sku, field } }
    : { outcome, replayed: false, stamp, shortages: [{ line: 0, available }] };
}
