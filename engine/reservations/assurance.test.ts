import { describe, expect, it } from 'vitest';
import type { Sku } from '../domain/ids.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import type { Wanted } from './assurance.ts';
import { assure, isFinalNo, levelOf } from './assurance.ts';
import type { LevelPolicy } from './levels.ts';
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

  it('is that of the class of the lines', () => {
    const levels = { ...DEFAULT_RESERVATION_POLICY.levels, reserve: 'persisted' } as const;
    const policy: LevelPolicy = {
      ...DEFAULT_RESERVATION_POLICY,
      classLevels: new Map([['jewel', levels]]),
      classOf: (sku) => (sku === 'ring' ? 'jewel' : undefined),
    };
    const holding = (sku: string): ReservationRecord => ({
      ...HELD,
      lines: [{ line: 0, sku: sku as Sku, requested: 1, placements: [] }],
    });
    const of = (sku: string, preferred?: Wanted['level']) =>
      levelOf({ verb: 'reserve', level: preferred }, 'created', holding(sku), policy);
    expect([of('ring'), of('book'), of('ring', 'memory')]).toEqual([
      'persisted',
      'memory',
      'memory',
    ]);
  });

  it('is memory for an answer that promises nothing', () => {
    expect(level('reserve', 'insufficient', undefined, 'persisted')).toBe('memory');
    expect(level('commit', 'already_released', EXPIRED)).toBe('memory');
    expect(level('commit', 'not_found')).toBe('memory');
  });
});

describe('what a look-up or a repeat shows', () => {
  const shown = async (replayed: boolean, verb: Wanted['verb'], preferred?: Wanted['level']) => {
    const subject = makeSubject({ answers: [] });
    const watermarks = { ...subject.watermarks, known: () => 'persisted' as const };
    const found = result('exists', { record: COMMITTED, replayed });
    return answerOf((done) =>
      assure('r1', found, { verb, level: preferred }, { ...subject, watermarks }, done),
    );
  };

  it('is at least as sure as it is known to be', async () => {
    expect(await shown(false, 'look_up')).toMatchObject({ level: 'persisted' });
    expect(await shown(true, 'commit')).toMatchObject({ level: 'persisted' });
  });

  it('is what was waited for, where the client preferred it or it is new', async () => {
    expect(await shown(true, 'commit', 'logged')).toMatchObject({ level: 'logged' });
    expect(await shown(false, 'commit')).toMatchObject({ level: 'logged' });
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
