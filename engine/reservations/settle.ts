/**
 * Commit, release, cancel, ship and extend: what becomes of a reservation.
 *
 * Path of one settlement: the lane decides on the record that it has. When it has none, the record
 * may have left Redis, so PostgreSQL is read at the position of that answer or later; what it has
 * goes back to the lane, which decides on it as if it had been there. But a hold never does: one that
 * PostgreSQL has as live has its record in Redis, too, among those of a day that nobody asks for any more
 * (no sweeper ran for so long), and would be settled here and expire there. Only when neither knows the
 * reservation is it `not_found`. A commit that names its lines and the hold's epoch may take the
 * units again; it does so only in its second attempt, behind the look into PostgreSQL, because a
 * reservation that was committed, shipped and forgotten must not be sold once more.
 *
 * Taking again is bound to the time of its request (policy.ts: retakeMsMax; lua/includes/settle.lua):
 * who was told *unknown* asks again, may hear a final no, and refunds, and then nothing of before may
 * come and take the units. So the clock starts when the request is read, *unknown* is said only when
 * the time is over, and nothing is taken for a client that has left.
 */

import type { DurabilityLevel } from '../domain/durability.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import { packId } from '../domain/reservation-id.ts';
import { isRefusal, type OperationAnswer } from '../redis/lane-port.ts';
import type { OperationResult, Retake, SettleLine, SettleOperation } from '../redis/operation.ts';
import type { Done, Undecided } from './answer.ts';
import { fromRefusal, RETRY_AFTER_MS, refused, unavailable } from './answer.ts';
import type { Wanted } from './assurance.ts';
import { assure } from './assurance.ts';
import type { ReservationDeps } from './deps.ts';
import { isIdempotencyKey, isWithinWindow, KEY_FAULT } from './identity.ts';
import { usualLevel } from './levels.ts';
import type { ReservationPolicy, Settlement } from './policy.ts';
import { commitFingerprint, operationKey, retakeFingerprint } from './settlement.ts';

export interface SettleRequest {
  readonly verb: Settlement;
  /** Well-formed (identity.ts: reservationIdFault). */
  readonly reservationId: string;
  /** Merged (settlement.ts); undefined: all that there is. */
  readonly lines: readonly SettleLine[] | undefined;
  readonly idempotencyKey: string | undefined;
  /** Commit only: the lane's epoch when the hold was made. Needs lines with their warehouses. */
  readonly holdEpoch: number | undefined;
  readonly level: Wanted['level'];
  /** Whether the client still waits for the answer. */
  readonly isAwaited: () => boolean;
}

/** One settlement under way. */
interface Settling {
  readonly id: string;
  readonly operation: SettleOperation;
  readonly retake: Retake | undefined;
  readonly isAwaited: () => boolean;
  readonly wanted: Wanted;
  readonly deps: ReservationDeps;
  readonly done: Done;
}

export function settle(request: SettleRequest, deps: ReservationDeps, done: Done): void {
  const { verb, reservationId: id, lines, idempotencyKey: key } = request;
  const needsKey = verb !== 'commit' && lines !== undefined;
  if (needsKey && key === undefined) {
    const detail = `A ${verb} of some lines may be repeated on purpose: send an Idempotency-Key.`;
    done(refused('idempotency_key_required', detail, undefined));
    return;
  }
  if (key !== undefined && !isIdempotencyKey(key)) {
    done(refused('invalid_request', KEY_FAULT, undefined));
    return;
  }
  const operation =
    lines === undefined ? ofAll(verb, packId(id)) : ofLines(verb, packId(id), lines, key);
  const wanted: Wanted = { verb, level: request.level };
  const retake = retakeOf(request, deps.policy);
  attempt({ id, operation, retake, isAwaited: request.isAwaited, wanted, deps, done });
}

/** Of all that there is: nearly every settlement, so nothing is put together piece by piece. */
function ofAll(kind: Settlement, id: Buffer): SettleOperation {
  const attributes = '';
  return kind === 'commit'
    ? { kind, id, commitFingerprint: commitFingerprint(undefined), attributes }
    : { kind, id, attributes };
}

function ofLines(
  kind: Settlement,
  id: Buffer,
  lines: readonly SettleLine[],
  key: string | undefined,
): SettleOperation {
  const named = { kind, id, lines, attributes: '' };
  if (kind === 'commit') return { ...named, commitFingerprint: commitFingerprint(lines) };
  return key === undefined ? named : { ...named, operationKey: operationKey(key, kind, lines) };
}

function retakeOf(
  { holdEpoch, lines }: SettleRequest,
  { retakeMsMax }: ReservationPolicy,
): Retake | undefined {
  if (holdEpoch === undefined || lines === undefined) return undefined;
  const untilMs = performance.now() + retakeMsMax;
  return { holdEpoch, fingerprint: retakeFingerprint(lines), untilMs };
}

/** The first attempt: on what the lane has. */
function attempt(settling: Settling): void {
  const { id, operation, retake, wanted, deps, done } = settling;
  const decide = (answer: OperationAnswer): void => {
    if (isRefusal(answer)) done(fromRefusal(id, answer));
    else if (answer.outcome === 'not_found') consultArchive(settling, answer);
    else if (answer.outcome === 'expired' && retake !== undefined)
      attemptAgain(settling, undefined, RETAKES_MAX);
    else assure(id, answer, wanted, deps, done);
  };
  deps.lane.submit(operation, decide, likelyLevel(settling));
}

/** Whose lines are not named has its level only when the answer shows them. */
function likelyLevel({ operation, wanted, deps }: Settling): DurabilityLevel {
  if (wanted.level !== undefined) return wanted.level;
  const { kind, lines } = operation;
  return lines === undefined ? deps.policy.levels[kind] : usualLevel(kind, lines, deps.policy);
}

function consultArchive(settling: Settling, absent: OperationResult): void {
  const { id, operation, retake, wanted, deps, done } = settling;
  deps.archive.find(id, absent.stamp).then(
    (record) => {
      const mayRetake =
        retake !== undefined && isWithinWindow(operation.id, deps.policy, absent.stamp.timeMs);
      if (record?.state === 'held') done(undecided(id, NOT_SWEPT));
      else if (record !== undefined || mayRetake) {
        attemptAgain(settling, record, RETAKES_MAX);
      } else assure(id, absent, wanted, deps, done);
    },
    (error: unknown) => done(unavailable(id, archiveFault(error))),
  );
}

/** What the engine knew of the lane was out of date: once more with what the answer told. */
const RETAKES_MAX = 2;

/**
 * The second attempt: on PostgreSQL's record, or by taking the units again. It is the last, but for
 * one that a lane refused because its time was up there: nothing was changed.
 */
function attemptAgain(
  settling: Settling,
  adopt: ReservationRecord | undefined,
  triesMax: number,
): void {
  const { id, operation, retake, isAwaited, wanted, deps, done } = settling;
  if (retake !== undefined && (triesMax === 0 || leftMs(retake) === 0 || !isAwaited())) {
    done(undecided(id, NOT_RETAKEN));
    return;
  }
  const again: SettleOperation = {
    ...operation,
    ...(adopt === undefined ? {} : { adopt }),
    ...(retake === undefined ? {} : { retake }),
  };
  const decide = (answer: OperationAnswer): void => {
    if (answer.outcome === 'undecided') attemptAgain(settling, adopt, triesMax - 1);
    else if (!isRefusal(answer)) assure(id, answer, wanted, deps, done);
    else if (answer.mayArrive && retake !== undefined) {
      // It may be on its way: as long as it may act, its client must not ask for a final no.
      setTimeout(done, leftMs(retake), fromRefusal(id, answer));
    } else done(fromRefusal(id, answer));
  };
  deps.lane.submit(again, decide, likelyLevel(settling));
}

function leftMs({ untilMs }: Retake): number {
  return Math.max(0, Math.ceil(untilMs - performance.now()));
}

const NOT_RETAKEN =
  'The units of the gone hold could not be taken again in time; nothing was changed.';
const NOT_SWEPT =
  'This hold is of days ago, and is about to expire; or Redis lost it, and `holdfast reconcile` brings it back. Nothing was changed.';

function undecided(id: string, detail: string): Undecided {
  return { kind: 'undecided', id, outcome: 'undecided', detail, retryAfterMs: RETRY_AFTER_MS };
}

export interface ExtendRequest {
  readonly reservationId: string;
  readonly ttlS: number;
  readonly level: Wanted['level'];
}

export function extend(request: ExtendRequest, deps: ReservationDeps, done: Done): void {
  const { reservationId: id, ttlS } = request;
  const wanted: Wanted = { verb: 'extend', level: request.level };
  const decide = (answer: OperationAnswer): void => {
    if (isRefusal(answer)) done(fromRefusal(id, answer));
    else if (answer.outcome !== 'not_found') assure(id, answer, wanted, deps, done);
    else {
      deps.archive.find(id, answer.stamp).then(
        (record) => {
          if (record === undefined) assure(id, answer, wanted, deps, done);
          else if (record.state === 'held') done(undecided(id, NOT_SWEPT));
          else {
            const outcome = EXTEND_TOO_LATE[record.state];
            assure(id, { ...answer, outcome, record }, wanted, deps, done);
          }
        },
        (error: unknown) => done(unavailable(id, archiveFault(error))),
      );
    }
  };
  const likely = wanted.level ?? deps.policy.levels.extend;
  deps.lane.submit({ kind: 'extend', id: packId(id), ttlS }, decide, likely);
}

/** What is no hold any more cannot be extended. */
const EXTEND_TOO_LATE = {
  committed: 'already_committed',
  released: 'already_released',
  expired: 'expired',
  closed: 'already_closed',
} as const;

export function archiveFault(error: unknown): string {
  const cause = error instanceof Error ? error.message : String(error);
  return `Redis has no record of the reservation, and PostgreSQL could not be asked: ${cause}`;
}
