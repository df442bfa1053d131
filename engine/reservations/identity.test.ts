import { describe, expect, it } from 'vitest';
import { digestId, IdMaker, readMadeId, unpackId } from '../domain/reservation-id.ts';
import type { IdentityClaim } from './identity.ts';
import { identify, isWithinWindow, PUBLIC_CALLER, reservationIdFault } from './identity.ts';
import { DEFAULT_RESERVATION_POLICY } from './policy.ts';

const NOW_MS = 1_800_000_000_000;
const lane = { number: 0, nowMs: () => NOW_MS };
const ids = new IdMaker((bytes) => Buffer.alloc(bytes, 7));
const policy = DEFAULT_RESERVATION_POLICY;

function claim(given: Partial<IdentityClaim>) {
  const whole = { caller: PUBLIC_CALLER, idempotencyKey: undefined, reservationId: undefined };
  return identify({ ...whole, ...given }, policy, lane, ids);
}

const madeAt = (timeMs: number, home = 0): string => unpackId(ids.make(timeMs, home));

describe('identify', () => {
  it('makes a fresh id of lane time when the client names none', () => {
    const identity = claim({});
    expect(identity).toMatchObject({ kind: 'identified', fresh: true });
    if (identity.kind !== 'identified') throw new Error('refused');
    expect(identity.text).toMatch(/^hf_[0-9a-f]{32}$/);
    expect(readMadeId(identity.packed)).toEqual({ timeMs: NOW_MS, lane: 0 });
  });

  it('gives the same key of the same caller the same id, and another caller another', () => {
    const mine = claim({ idempotencyKey: 'k' });
    expect(claim({ idempotencyKey: 'k' })).toEqual(mine);
    expect(claim({ idempotencyKey: 'k', caller: 'other' })).not.toEqual(mine);
    expect(mine).toMatchObject({ fresh: false, text: digestId('ik_', PUBLIC_CALLER, 'k') });
  });

  it('takes an id of the client, integers too', () => {
    expect(claim({ reservationId: 'order-1' })).toMatchObject({ text: 'order-1', fresh: false });
    expect(claim({ reservationId: 42 })).toMatchObject({ text: '42' });
  });

  it('takes the id that a refusal named, to try again', () => {
    const id = madeAt(NOW_MS - 1_000);
    expect(claim({ reservationId: id })).toMatchObject({ text: id, fresh: false });
    const keyed = digestId('ik_', PUBLIC_CALLER, 'k');
    expect(claim({ reservationId: keyed })).toMatchObject({ text: keyed });
  });

  it('takes key and id together only when they belong together', () => {
    const text = digestId('ik_', PUBLIC_CALLER, 'k');
    expect(claim({ idempotencyKey: 'k', reservationId: text })).toMatchObject({ text });
    expect(claim({ idempotencyKey: 'k', reservationId: 'order-1' })).toMatchObject({
      kind: 'refused',
      outcome: 'ids_disagree',
    });
  });

  it.each([
    ['', 'an empty key'],
    ['x'.repeat(256), 'a long key'],
    ['a\tb', 'a control character'],
    ['schlüssel', 'more than ASCII'],
  ])('refuses the key %j: %s', (idempotencyKey) => {
    expect(claim({ idempotencyKey })).toMatchObject({ outcome: 'invalid_request' });
  });

  it.each([
    'op_0123456789abcdef0123456789abcdef',
    'hf_short',
    // The ms of a day that has ended.
    `hf_512a05265c00${'0'.repeat(20)}`,
    'ik_',
    'hf_0123456789ABCDEF0123456789ABCDEF',
  ])('refuses %s, which is no reservation id of ours', (reservationId) => {
    expect(claim({ reservationId })).toMatchObject({ outcome: 'invalid_request' });
  });

  it('refuses an id of ours that is outside of the window, or was not made here', () => {
    const { idAgeMaxMs, idAheadMaxMs } = policy;
    const outcome = (id: string) => {
      const identity = claim({ reservationId: id });
      return identity.kind === 'refused' ? identity.outcome : 'identified';
    };
    expect(outcome(madeAt(NOW_MS - idAgeMaxMs))).toBe('identified');
    expect(outcome(madeAt(NOW_MS - idAgeMaxMs - 1))).toBe('id_expired');
    // Named by a refusal while the lane was closed, and its time stood still.
    expect(outcome(madeAt(NOW_MS + 12 * 3_600_000))).toBe('identified');
    expect(outcome(madeAt(NOW_MS + idAheadMaxMs))).toBe('identified');
    expect(outcome(madeAt(NOW_MS + idAheadMaxMs + 1))).toBe('id_expired');
    expect(outcome(madeAt(NOW_MS, 7))).toBe('id_expired');
  });
});

describe('reservationIdFault', () => {
  it('says what is wrong with an id', () => {
    expect(reservationIdFault('order-1')).toBeUndefined();
    expect(reservationIdFault('op_x')).toContain('stock operation');
    expect(reservationIdFault('hf_x')).toContain('prefix');
  });
});

describe('isWithinWindow', () => {
  it('goes by the age that an id tells, and lets the others pass', () => {
    const old = ids.make(NOW_MS - policy.idAgeMaxMs - 1, 0);
    expect(isWithinWindow(old, policy, NOW_MS)).toBe(false);
    expect(isWithinWindow(ids.make(NOW_MS, 0), policy, NOW_MS)).toBe(true);
    expect(isWithinWindow(Buffer.from('order-1'), policy, NOW_MS)).toBe(true);
  });
});
