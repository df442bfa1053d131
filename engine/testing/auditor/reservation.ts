/**
 * A reservation as the changes in the log make it. States:
 *
 *   held       units stand reserved; a deadline runs
 *   committed  units stand allocated; the deadline is forgotten
 *   released, expired, closed   no units stand; nothing may follow, but `expired` may be retaken
 *
 * `advance` is one step: what stood before, one change, what stands after, and each rule that the
 * step broke. It goes on after a broken rule as if the change were true, so that one mistake is
 * told once.
 */
import type { DecodedEntry, RepairedChange, ReservationChange, Units } from './decode.ts';
import type { ClosedBy, HeldUnits, ReservationState } from './decode-record.ts';
import type { Invariant } from './violation.ts';

export interface FoldedReservation {
  readonly id: string;
  readonly generation: number;
  readonly state: ReservationState;
  /** Undefined after the reservation was first seen half-way through its life. */
  readonly version: number | undefined;
  readonly createdEpoch: number;
  readonly createdSeq: number;
  readonly createdMs: number;
  readonly fingerprint: string;
  readonly deadlineS: number;
  readonly commitFingerprint: number;
  /** Of a closed one: what took its last unit. */
  readonly closedBy: ClosedBy | undefined;
  readonly units: readonly HeldUnits[];
  /** Keys of the settlements that were applied, hex. */
  readonly operations: readonly string[];
}

export interface Fault {
  readonly invariant: Invariant;
  readonly what: string;
}

export interface Step {
  readonly after: FoldedReservation | undefined;
  readonly faults: readonly Fault[];
}

export interface StepRules {
  /** A reserve of the same id within this time of lane time is a second effect. */
  readonly windowMs: number;
  /** False when the log is not known from its beginning: then an unknown id is no fault. */
  readonly complete: boolean;
}

const NO_OPERATION = '0000000000000000';
const DAY_MS = 86_400_000;
/** Versions of a reservation have 16 bits and begin again. */
const VERSIONS = 65_536;

export function advance(
  before: FoldedReservation | undefined,
  change: ReservationChange,
  entry: DecodedEntry,
  rules: StepRules,
): Step {
  if (change.type === 'reserved') return reserved(before, change, entry, rules);
  if (change.type === 'repaired') return { after: repaired(before, change, entry), faults: [] };
  if (change.type === 'committed' && change.retaken) return retaken(before, change, entry);
  if (before === undefined) {
    const what = `it was ${change.type} but never reserved`;
    return { after: undefined, faults: rules.complete ? [{ invariant: 'I5', what }] : [] };
  }
  const faults: Fault[] = [];
  if (before.version !== undefined && change.version !== (before.version + 1) % VERSIONS) {
    const what = `${change.type} makes version ${change.version} out of ${before.version}`;
    faults.push({ invariant: 'I4', what });
  }
  const must = change.type === 'cancelled' || change.type === 'shipped' ? 'committed' : 'held';
  if (before.state !== must) {
    faults.push({ invariant: 'I7', what: `it was ${before.state} and then ${change.type}` });
  }
  return { after: settle(before, change, entry, faults), faults };
}

function reserved(
  before: FoldedReservation | undefined,
  change: ReservationChange & { type: 'reserved' },
  entry: DecodedEntry,
  rules: StepRules,
): Step {
  const faults: Fault[] = [];
  if (before !== undefined) {
    const ageMs = entry.timeMs - before.createdMs;
    if (before.state === 'held' || ageMs < rules.windowMs) {
      const what = `it was reserved again ${ageMs} ms after ${before.createdEpoch}-${before.createdSeq}, while ${before.state}`;
      faults.push({ invariant: 'I3', what });
    }
  }
  if (change.deadlineS * 1000 <= entry.timeMs) {
    faults.push({ invariant: 'time', what: `it was reserved past its deadline` });
  }
  const day = madeOnDay(change.id) ?? Math.floor(entry.timeMs / DAY_MS);
  if (change.generation !== day) {
    const what = `its record stands in generation ${change.generation}, where a retry looks in ${day}`;
    faults.push({ invariant: 'I3', what });
  }
  checkPlacements(change, faults);
  const after: FoldedReservation = {
    id: change.id,
    generation: change.generation,
    state: 'held',
    version: 1,
    createdEpoch: entry.id.epoch,
    createdSeq: entry.id.seq,
    createdMs: entry.timeMs,
    fingerprint: change.fingerprint,
    deadlineS: change.deadlineS,
    commitFingerprint: 0,
    closedBy: undefined,
    units: change.placements.map((move) => place(move, entry)),
    operations: [],
  };
  return { after, faults };
}

/** No line gets more than it asked for, and some line gets something. */
function checkPlacements(change: ReservationChange & { type: 'reserved' }, faults: Fault[]): void {
  const [only, ...more] = change.placements;
  if (only !== undefined && more.length === 0 && only.units > 0) {
    checkLine(change, only.line, only.units, faults);
    return;
  }
  const placed = sumByLine(change.placements);
  for (const [line, units] of placed) checkLine(change, line, units, faults);
  if (placed.size === 0) faults.push({ invariant: 'I5', what: 'it was reserved with no unit' });
}

function checkLine(
  { requested }: ReservationChange & { type: 'reserved' },
  line: number,
  units: number,
  faults: Fault[],
): void {
  const asked = requested.get(line) ?? 0;
  if (units <= asked) return;
  faults.push({ invariant: 'I5', what: `line ${line} got ${units} units and asked ${asked}` });
}

/** A commit that took the units again, because the hold had expired or was lost in a failover. */
function retaken(
  before: FoldedReservation | undefined,
  change: ReservationChange & { type: 'committed' },
  entry: DecodedEntry,
): Step {
  const faults: Fault[] = [];
  if (before !== undefined && before.state !== 'expired') {
    faults.push({ invariant: 'I7', what: `it was ${before.state} and then committed anew` });
  }
  if (change.moves.some((move) => move.freed > 0)) {
    faults.push({ invariant: 'I4', what: 'a commit that takes units again frees some' });
  }
  const after: FoldedReservation = {
    id: change.id,
    generation: change.generation,
    state: 'committed',
    version: change.version,
    createdEpoch: entry.id.epoch,
    createdSeq: entry.id.seq,
    createdMs: entry.timeMs,
    fingerprint: change.fingerprint,
    deadlineS: 0,
    commitFingerprint: change.commitFingerprint,
    closedBy: undefined,
    units: allocatedUnits(change, entry),
    operations: [],
  };
  return { after, faults };
}

/** The repair states the record whole; without one it left the reservation as it was. */
function repaired(
  before: FoldedReservation | undefined,
  { id, generation, version, record }: RepairedChange,
  entry: DecodedEntry,
): FoldedReservation | undefined {
  if (record === undefined || record.state === 'operation') return before;
  return {
    id,
    generation,
    state: record.state,
    version,
    createdEpoch: before?.createdEpoch ?? entry.id.epoch,
    createdSeq: before?.createdSeq ?? entry.id.seq,
    createdMs: record.createdS * 1000,
    fingerprint: record.fingerprint,
    deadlineS: record.deadlineS ?? before?.deadlineS ?? 0,
    commitFingerprint: record.commitFingerprint ?? before?.commitFingerprint ?? 0,
    closedBy: record.closedBy ?? before?.closedBy,
    units: record.lines ?? [],
    operations: record.operations ?? [],
  };
}

function settle(
  before: FoldedReservation,
  change: Exclude<ReservationChange, { type: 'reserved' | 'repaired' }>,
  entry: DecodedEntry,
  faults: Fault[],
): FoldedReservation {
  // A record that had left Redis is written anew, in the generation of the day.
  const { version, generation } = change;
  if (change.type === 'extended') {
    return { ...before, version, generation, deadlineS: change.deadlineS };
  }
  if (change.type === 'committed') {
    const taken = change.moves.map((move) => ({ ...move, units: move.allocated + move.freed }));
    mustBeEmpty(take(before, taken, entry, faults), change.type, faults);
    const { commitFingerprint } = change;
    const units = allocatedUnits(change, entry);
    const after = { ...before, version, generation, commitFingerprint, deadlineS: 0, units };
    return { ...after, state: 'committed' };
  }
  const units = take(before, change.moves, entry, faults);
  if (change.type === 'expired') {
    if (entry.timeMs < before.deadlineS * 1000) {
      const early = before.deadlineS * 1000 - entry.timeMs;
      faults.push({ invariant: 'I7', what: `it expired ${early} ms before its deadline` });
    }
    mustBeEmpty(units, change.type, faults);
    return { ...before, version, generation, state: 'expired', units };
  }
  const operations = addOperation(before, change.operation, faults);
  if (change.ends) mustBeEmpty(units, change.type, faults);
  else if (units.length === 0) {
    faults.push({ invariant: 'I7', what: `${change.type} took the last unit and did not end it` });
  }
  const after = { ...before, version, generation, operations, units };
  if (!change.ends) return after;
  if (change.type === 'released') return { ...after, state: 'released' };
  return { ...after, state: 'closed', closedBy: change.type === 'shipped' ? 'ship' : 'cancel' };
}

function addOperation(before: FoldedReservation, key: string, faults: Fault[]) {
  if (key === NO_OPERATION) return before.operations;
  if (before.operations.includes(key)) {
    faults.push({ invariant: 'I3', what: `the settlement ${key} was applied twice` });
  }
  return [...before.operations, key];
}

/** What is left of the reservation's units without those that move; more than there is, is told. */
function take(
  before: FoldedReservation,
  moves: readonly Units[],
  entry: DecodedEntry,
  faults: Fault[],
): HeldUnits[] {
  const left = before.units.map((held) => ({ ...held }));
  for (const move of moves) {
    const { sku, field } = place(move, entry);
    let want = move.units;
    for (const held of left) {
      if (held.line !== move.line || held.sku !== sku || held.field !== field) continue;
      const taken = Math.min(want, held.units);
      held.units -= taken;
      want -= taken;
    }
    if (want > 0) {
      const what = `line ${move.line} gives up ${want} units of ${sku} ${field} that it does not have`;
      faults.push({ invariant: 'I4', what });
    }
  }
  return left.filter((held) => held.units > 0);
}

function mustBeEmpty(left: readonly HeldUnits[], type: string, faults: Fault[]): void {
  for (const held of left) {
    const what = `${type} leaves ${held.units} units of ${held.sku} ${held.field}, line ${held.line}, to nobody`;
    faults.push({ invariant: 'I4', what });
  }
}

function allocatedUnits(
  change: ReservationChange & { type: 'committed' },
  entry: DecodedEntry,
): HeldUnits[] {
  return change.moves
    .filter((move) => move.allocated > 0)
    .map((move) => place({ line: move.line, cell: move.cell, units: move.allocated }, entry));
}

function place(move: Units, entry: DecodedEntry): HeldUnits {
  const cell = entry.cells[move.cell];
  if (cell === undefined) throw new RangeError(`entry has no cell ${move.cell}`);
  return { line: move.line, sku: cell.sku, field: cell.field, units: move.units };
}

function sumByLine(moves: readonly Units[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { line, units } of moves) {
    if (units > 0) sums.set(line, (sums.get(line) ?? 0) + units);
  }
  return sums;
}

/** The day that an id made by an engine carries; undefined for every other id. */
function madeOnDay(id: string): number | undefined {
  return id.startsWith('hf_') ? Number.parseInt(id.slice(3, 7), 16) : undefined;
}
