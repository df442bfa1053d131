/** Under which id a cart is reserved: the client's, the one of its Idempotency-Key, or a new one. */
import type { IdMaker } from '../domain/reservation-id.ts';
import { digestId, isWellFormed, packId, readMadeId } from '../domain/reservation-id.ts';
import { LANES } from '../redis/keys.ts';
import type { IdInput } from './cart.ts';
import type { ReservationPolicy } from './policy.ts';

/** Who calls, until there are API keys: all clients share one space of idempotency keys. */
export const PUBLIC_CALLER = 'public';

export interface IdentityClaim {
  readonly caller: string;
  readonly idempotencyKey: string | undefined;
  readonly reservationId: IdInput | undefined;
}

export interface Identity {
  readonly kind: 'identified';
  readonly packed: Buffer;
  readonly text: string;
  /** Made for this very request, so that nobody can have used it before. */
  readonly fresh: boolean;
}

export interface IdentityRefusal {
  readonly kind: 'refused';
  readonly outcome: 'invalid_request' | 'ids_disagree' | 'id_expired';
  readonly detail: string;
  /** The field at fault; undefined: the header. */
  readonly field: 'reservation_id' | undefined;
}

const KEY_PATTERN = /^[\x20-\x7e]{1,255}$/;

export function isIdempotencyKey(text: string): boolean {
  return KEY_PATTERN.test(text);
}

export const KEY_FAULT = 'Idempotency-Key must be 1 to 255 printable ASCII characters.';

export function identify(
  claim: IdentityClaim,
  policy: ReservationPolicy,
  lane: { readonly number: number; nowMs(): number },
  ids: IdMaker,
): Identity | IdentityRefusal {
  const { idempotencyKey: key, reservationId: given } = claim;
  if (key !== undefined) return identifyKeyed(claim.caller, key, given);
  if (given !== undefined) return checkGiven(String(given), policy, lane.nowMs());
  const { packed, text } = ids.makeNamed(lane.nowMs(), lane.number);
  return { kind: 'identified', packed, text, fresh: true };
}

function identifyKeyed(
  caller: string,
  key: string,
  given: IdInput | undefined,
): Identity | IdentityRefusal {
  if (!isIdempotencyKey(key)) return refuse('invalid_request', KEY_FAULT, undefined);
  const text = digestId('ik_', caller, key);
  if (given !== undefined && String(given) !== text) {
    return refuse(
      'ids_disagree',
      `The Idempotency-Key belongs to reservation ${text}, but reservation_id is ${String(given)}; ` +
        'send only one of the two.',
      'reservation_id',
    );
  }
  return { kind: 'identified', packed: packId(text), text, fresh: false };
}

function checkGiven(
  text: string,
  policy: ReservationPolicy,
  nowMs: number,
): Identity | IdentityRefusal {
  const fault = reservationIdFault(text);
  if (fault !== undefined) return refuse('invalid_request', `${fault}.`, 'reservation_id');
  const packed = packId(text);
  const made = readMadeId(packed);
  if (made !== undefined) {
    const ageMs = nowMs - made.timeMs;
    if (made.lane >= LANES || ageMs < -policy.idAheadMaxMs) {
      return refuse('id_expired', `${text} was not made by this deployment.`, 'reservation_id');
    }
    if (ageMs > policy.idAgeMaxMs) {
      const hours = Math.floor(policy.idAgeMaxMs / 3_600_000);
      return refuse(
        'id_expired',
        `${text} is older than ${hours} h, so a retry cannot be told from a new request; ` +
          'look it up, or reserve under a new id.',
        'reservation_id',
      );
    }
  }
  return { kind: 'identified', packed, text, fresh: false };
}

/** What is wrong with a reservation id that a client sent, without a full stop; undefined: nothing. */
export function reservationIdFault(text: string): string | undefined {
  if (text.startsWith('op_')) return `${text} names a stock operation, not a reservation`;
  if (isWellFormed(text)) return undefined;
  return (
    `${text} begins with a prefix that is kept for ids that Holdfast makes, but is none of them; ` +
    'send an id as you got it, or one of your own with another prefix'
  );
}

/** Whether the id may still be in its idempotency window; true where it does not tell its age. */
export function isWithinWindow(packed: Buffer, policy: ReservationPolicy, nowMs: number): boolean {
  const made = readMadeId(packed);
  return made === undefined || nowMs - made.timeMs <= policy.idAgeMaxMs;
}

function refuse(
  outcome: IdentityRefusal['outcome'],
  detail: string,
  field: IdentityRefusal['field'],
): IdentityRefusal {
  return { kind: 'refused', outcome, detail, field };
}
