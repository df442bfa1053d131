import { describe, expect, it } from 'vitest';
import type { OutcomeName } from '../domain/outcome.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import type { Wanted } from './assurance.ts';
import { assure, isFinalNo, levelOf } from './assurance.ts';
import { DEFAULT_RESERVATION_POLICY } from './policy.ts';
import type { SubjectScript } from './test-subject.ts';
import { answerOf, COMMITTED, EXPIRED, HELD, makeSubject, result } from './test-subject.ts';

const level = (
  verb: Wanted['verb'],
  outcome: OutcomeName,
  record?: ReservationRecord,
  preferred?: Wanted['level'],
) => levelOf({ verb, level: preferred }, outcome, record, DEFAULT_RESERVATION_POLICY);

describe('levelOf', () => {
  it('is the default of the verb for a success, or what the client prefers', () => {
    expect(level('reserve', 'created', HELD)).toBe('memory');
    expect(level('commit', 'committed', COMMITTED)).toBe('logged');
    expect(level('commit', 'committed', COMMITTED, 'memory')).toBe('memory');
    expect(level('reserve', 'created', HELD, 'persisted')).toBe('persisted');
    expect(level('release', 'released', HELD)).toBe('memory');
  });

  it('is that of a commit for whatever shows a reservation as committed', () => {
    expect(level('reserve', 'exists', COMMITTED)).toBe('logged');
    expect(level('look_up', 'exists', COMMITTED)).toBe('logged');
    expect(level('release', 'already_committed', COMMITTED)).toBe('logged');
    expect(level('look_up', 'exists', HELD)).toBe('memory');
  });

  it('is memory for an answer that promises nothing', () => {
    expect(level('reserve', 'insufficient', undefined, 'persisted')).toBe('memory');
    expect(level('commit', 'already_released', EXPIRED)).toBe('memory');
    expect(level('commit', 'not_found')).toBe('memory');
  });
});

describe('isFinalNo', () => {
  it('is not_found, hold_lost and expired, where somebody may refund on it', () => {
    for (const verb of ['commit', 'cancel', 'ship', 'look_up'] as const) {
      expect(isFinalNo(verb, 'not_found')).toBe(true);
      expect(isFinalNo(verb, 'expired')).toBe(true);
    }
    expect(isFinalNo('commit', 'hold_lost')).toBe(true);
    expect(isFinalNo('look_up', 'exists', 'expired')).toBe(true);
    expect(isFinalNo('look_up', 'exists', 'held')).toBe(false);
    expect(isFinalNo('release', 'expired')).toBe(false);
    expect(isFinalNo('commit', 'already_released')).toBe(false);
  });
});

describe('assure', () => {
  const run = async (
    verb: Wanted['verb'],
    outcome: OutcomeName,
    record: ReservationRecord | undefined,
    script: Omit<SubjectScript, 'answers'>,
  ) => {
    const subject = makeSubject({ answers: [], ...script });
    const answer = await answerOf((done) =>
      assure(
        'r1',
        result(outcome, record === undefined ? {} : { record }),
        { verb, level: undefined },
        subject,
        done,
      ),
    );
    return { answer, subject };
  };

  it('waits for nobody when memory is enough', async () => {
    const { answer, subject } = await run('reserve', 'created', HELD, { isReached: false });
    expect(answer).toMatchObject({ kind: 'decided', outcome: 'created', level: 'memory' });
    expect([subject.waits, subject.confirms]).toEqual([[], 0]);
  });

  it('says that a level was missed, never that it failed or that it is done', async () => {
    const { answer } = await run('commit', 'committed', COMMITTED, { isReached: false });
    expect(answer).toMatchObject({ kind: 'undecided', id: 'r1', outcome: 'durability_unknown' });
  });

  it('gives no final no without a sign of life', async () => {
    const alive = await run('commit', 'expired', EXPIRED, { isAlive: true });
    expect(alive.answer).toMatchObject({ kind: 'decided', outcome: 'expired' });
    expect(alive.subject.confirms).toBe(1);
    const dead = await run('commit', 'expired', EXPIRED, { isAlive: false });
    expect(dead.answer).toMatchObject({ kind: 'undecided', outcome: 'store_unavailable' });
  });
});
