/**
 * What an operation takes of the room of a batch, in the unit in which the scripts count their work
 * (lua/includes/cells.lua). What only the script knows (the places of a hold, the warehouses of a SKU) is
 * expected to be as it was of late; where that is wrong, the script decides no more than it has room
 * for, and the rest is sent again.
 */
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import type { Operation, ReserveLine, ReserveOperation } from './operation.ts';
import type { BatchAnswers, EncodedBatch } from './operation-codec.ts';
import { standsInRun } from './run-codec.ts';

/** Half a reserve in a run, and half a cell; and half for the look whether its id is known. */
const IN_A_RUN = 1;
const KEYED_IN_A_RUN = 1.5;
/** A reserve by itself; with the look whether its id is known. */
const FRESH = 2;
const KNOWN_MAYBE = 3;
/** A place where units are taken, or settled. */
const PLACE = 1;
/** Until the first reply. */
const OPEN_LINE_AT_FIRST = 4;
const SETTLEMENT_AT_FIRST = 3;
/** So many count as much as all before them: one great cart makes not all others great. */
const SETTLEMENTS = 64;
const LINES_SHARE = 1 / 8;
/** In eighths, so that sums of weights stay exact. */
const STEP = 1 / 8;

type SentBatch = Pick<EncodedBatch, 'others'> & {
  readonly runs: Pick<EncodedBatch['runs'], 'members'>;
};

export class OperationWeights {
  /** Of a line that names no warehouse. */
  #openLine = OPEN_LINE_AT_FIRST;
  /** Of an operation on a hold, whatever it names. */
  #settlement = SETTLEMENT_AT_FIRST;

  of(operation: Operation): number {
    if (operation.kind === 'reserve') {
      if (standsInRun(operation)) return operation.fresh ? IN_A_RUN : KEYED_IN_A_RUN;
      return knownOf(operation) + openLinesOf(operation.lines) * this.#openLine;
    }
    const named = 'lines' in operation ? (operation.lines?.length ?? 0) : 0;
    return this.#settlement + named * PLACE;
  }

  /** `results`: undefined where there was no room; `work`: of the whole script. */
  learn(
    operations: readonly Operation[],
    { others, runs }: SentBatch,
    { results, work }: BatchAnswers,
  ): void {
    let settled = 0;
    let openLines = 0;
    let known = 0;
    let wasFull = false;
    for (const index of others) {
      const operation = operations[index];
      if (results[index] === undefined || operation === undefined) wasFull = true;
      else if (operation.kind !== 'reserve') settled++;
      else {
        known += knownOf(operation);
        openLines += openLinesOf(operation.lines);
      }
    }
    if (settled > 0) {
      const share = settled / (settled + SETTLEMENTS);
      this.#settlement = towards(this.#settlement, work / settled, share);
    }
    if (openLines === 0) return;
    // A SKU is read once a script, however many lines want it: that they were too many for one script
    // says what each of them costs; that they were few, as when nobody else comes, does not.
    known += runs.members.reduce((sum, { operation }) => sum + this.of(operation), 0);
    const seen = wasFull ? (work - known) / openLines : OPEN_LINE_AT_FIRST;
    this.#openLine = towards(this.#openLine, seen, LINES_SHARE);
  }
}

/** What is more than a whole script is a script of its own. */
function towards(before: number, seen: number, share: number): number {
  const wanted = Math.min(Math.max(PLACE, seen), SCRIPT_WORK_MAX);
  return Math.ceil((before + (wanted - before) * share) / STEP) * STEP;
}

/** Of one that stands in no run. */
function knownOf(operation: ReserveOperation): number {
  const cells = operation.lines.reduce((sum, { fields }) => sum + fields.length, 0);
  const places = operation.lines.length - openLinesOf(operation.lines);
  return (operation.fresh ? FRESH : KNOWN_MAYBE) + cells + places * PLACE;
}

function openLinesOf(lines: readonly ReserveLine[]): number {
  return lines.reduce((count, { fields }) => count + (fields.length === 0 ? 1 : 0), 0);
}
