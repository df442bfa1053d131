/**
 * Runs of reserves that want the same: so many units of one cell, for as long, each under a fresh
 * id. Nearly every request of a sale has this form, so what they have in common is sent, decided and
 * answered once, and the rest stands in columns that Lua copies whole (lua/includes/runs.lua).
 */

import type { CellField, Sku } from '../domain/ids.ts';
import { outcomeByCode } from '../domain/outcome.ts';
import type { HeldRecord } from '../domain/reservation.ts';
import { addressOf, PACKED_ID_BYTES } from '../domain/reservation-id.ts';
import type { ByteReader } from '../events/bytes.ts';
import { ByteWriter, DecodeError } from '../events/bytes.ts';
import type { LaneStamp, Operation, OperationResult, ReserveOperation } from './operation.ts';

const MADE_ID = 1;

interface Member {
  /** Index of the operation in its batch. */
  readonly index: number;
  readonly operation: ReserveOperation;
  readonly bucket: number;
}

export interface Run {
  readonly sku: Sku;
  readonly field: CellField;
  readonly units: number;
  readonly ttlS: number;
  readonly generation: number;
  readonly members: Member[];
}

/** Puts the operations of one batch into runs, in the order in which they came. */
export class Runs {
  readonly list: Run[] = [];
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
    const { generation, bucket } = addressOf(id);
    const run = this.#runOf(line.sku, field, line.quantity, ttlS, generation);
    run.members.push({ index, operation, bucket });
    return true;
  }

  #runOf(sku: Sku, field: CellField, units: number, ttlS: number, generation: number): Run {
    const last = this.#last;
    if (
      last?.sku === sku &&
      last.field === field &&
      last.units === units &&
      last.ttlS === ttlS &&
      last.generation === generation
    ) {
      return last;
    }
    const terms = `${units} ${ttlS} ${generation} ${sku} ${field}`;
    let run = this.#byTerms.get(terms);
    if (run === undefined) {
      run = { sku, field, units, ttlS, generation, members: [] };
      this.#byTerms.set(terms, run);
      this.list.push(run);
    }
    this.#last = run;
    return run;
  }
}

/** The run as ARGV[2] of lua/commands/submit.lua has it. */
export function writeRun(out: ByteWriter, run: Run, sku: number, field: number): void {
  const { units, ttlS, generation, members } = run;
  const pieces = bucketPieces(members);
  const attributes = members.map(({ operation }) => bytesOf(operation.attributes));
  out.u16(sku);
  out.u16(field);
  out.u32(units);
  out.u32(ttlS);
  out.u16(generation);
  out.u16(members.length);
  out.u16(pieces.length);
  out.u32(attributes.reduce((sum, { length }) => sum + 2 + length, 0));
  out.bytes8(lineOf(run));
  for (const { bucket, count } of pieces) {
    out.u24(bucket);
    out.u16(count);
  }
  for (const { operation, bucket } of members) {
    out.u16(generation);
    out.u24(bucket);
    out.bytes8(operation.id);
  }
  for (const { operation } of members) out.raw(operation.fingerprint);
  for (const bytes of attributes) out.bytes16(bytes);
}

const NO_BYTES = Buffer.alloc(0);

function bytesOf(attributes: string): Buffer {
  return attributes === '' ? NO_BYTES : Buffer.from(attributes);
}

/** The one line of the record, as events/hold-codec.ts has it. */
function lineOf({ sku, field, units }: Run): Buffer {
  const line = new ByteWriter(sku.length + field.length + 13);
  line.u16(0);
  line.ascii8(sku);
  line.u32(units);
  line.u8(1);
  line.ascii8(field);
  line.u32(units);
  return line.take();
}

/** Members that follow one another in the same bucket, so that Lua looks each bucket up once. */
function bucketPieces(members: readonly Member[]): { bucket: number; count: number }[] {
  const pieces: { bucket: number; count: number }[] = [];
  let piece: { bucket: number; count: number } | undefined;
  for (const { bucket } of members) {
    if (piece?.bucket === bucket) {
      piece.count++;
    } else {
      piece = { bucket, count: 1 };
      pieces.push(piece);
    }
  }
  return pieces;
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
