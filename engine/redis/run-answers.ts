/** What a lane answers to runs of reserves (`run-codec.ts`), as lua/commands/submit.lua has it. */
import { outcomeByCode } from '../domain/outcome.ts';
import type { HeldRecord, ReservationRecord } from '../domain/reservation.ts';
import type { ByteReader } from '../events/bytes.ts';
import { DecodeError } from '../events/bytes.ts';
import { decodeHold } from '../events/hold-codec.ts';
import type { LaneStamp, OperationResult, ReserveOperation } from './operation.ts';
import type { Member, Run, SentRuns } from './run-codec.ts';

/** In place of how many of a run hold: a batch has fewer operations. */
const ALL_HOLD = 0xffff;

/** By index in the batch; undefined: nothing was decided, it is to be sent again by itself. */
type Results = (OperationResult | undefined)[];

/** Answers the members of all runs, each at its operation's index. */
export function readRuns(
  reader: ByteReader,
  stamp: LaneStamp,
  { runs, members, repeats, isKeyed }: SentRuns,
  results: Results,
): void {
  if (runs.length === 0) return;
  const known = isKeyed ? readKnown(reader, stamp, members, results) : NOBODY;
  const isWhole = reader.u8() === 1;
  for (const run of runs) {
    const held = isWhole ? ALL_HOLD : reader.u16();
    const refusal = held === ALL_HOLD ? undefined : readRefusal(reader, stamp, run);
    answerRun(known.size === 0 ? run : without(known, run), held, refusal, stamp, results);
  }
  for (const { index, first } of repeats) results[index] = repeatOf(results[first.index]);
}

/** As the lane would answer it behind the first. */
function repeatOf(first: OperationResult | undefined): OperationResult | undefined {
  return first?.outcome === 'created' ? { ...first, outcome: 'exists', replayed: true } : first;
}

const NOBODY: ReadonlySet<Member> = new Set();

/** Answers those whose ids have a record, which are left out of their runs. */
function readKnown(
  reader: ByteReader,
  stamp: LaneStamp,
  members: readonly Member[],
  results: Results,
): ReadonlySet<Member> {
  const count = reader.u16();
  if (count === 0) return NOBODY;
  const known = new Set<Member>();
  for (let i = 0; i < count; i++) {
    const place = reader.u16();
    const member = members[place];
    if (member === undefined) throw new DecodeError(`no reserve has place ${place} in its batch`);
    known.add(member);
    results[member.index] = knownAnswer(member.operation, reader.bytes32(), stamp);
  }
  return known;
}

function without(known: ReadonlySet<Member>, run: Run): Run {
  return { ...run, members: run.members.filter((each) => !known.has(each)) };
}

/** As a reserve by itself is answered; what is no hold's record, that one can tell. */
function knownAnswer(
  { fingerprint }: ReserveOperation,
  bytes: Buffer,
  stamp: LaneStamp,
): OperationResult | undefined {
  const record = readableHold(bytes);
  if (record === undefined) return undefined;
  return record.fingerprint.equals(fingerprint)
    ? { outcome: 'exists', replayed: true, stamp, record }
    : { outcome: 'exists_with_different_payload', replayed: false, stamp };
}

function readableHold(bytes: Buffer): ReservationRecord | undefined {
  try {
    return bytes.length === 0 ? undefined : decodeHold(bytes);
  } catch {
    return undefined;
  }
}

function answerRun(
  run: Run,
  held: number,
  refusal: OperationResult | undefined,
  stamp: LaneStamp,
  results: Results,
): void {
  const lines = held === 0 ? [] : linesOf(run);
  run.members.forEach(({ index, operation }, i) => {
    if (i < held) results[index] = created(operation, lines, stamp);
    else if (refusal === undefined) throw new DecodeError(`${held} of ${run.members.length} hold`);
    // Too late for a run: who brought a key may still be looked up.
    else if (refusal.outcome === 'undecided' && !operation.fresh) results[index] = undefined;
    else results[index] = refusal;
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
