import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { asSku, cellField } from '../domain/ids.ts';
import { IdMaker, unpackId } from '../domain/reservation-id.ts';
import type { ReservationAnswer } from './answer.ts';
import { DEFAULT_RESERVATION_POLICY } from './policy.ts';
import type { SettleRequest } from './settle.ts';
import { extend, settle } from './settle.ts';
import type { SubjectScript } from './test-subject.ts';
import {
  answerOf,
  COMMITTED,
  EXPIRED,
  HELD,
  makeSubject,
  NOW_MS,
  REFUSAL,
  result,
  STAMP,
} from './test-subject.ts';

const LINES = [{ sku: asSku('A'), field: cellField('X'), quantity: 1 }];
const FIRST: SettleRequest = {
  verb: 'commit',
  reservationId: 'order-1',
  lines: undefined,
  idempotencyKey: undefined,
  holdEpoch: undefined,
  level: 'memory',
  isAwaited: () => true,
};

async function run(request: Partial<SettleRequest>, script: SubjectScript) {
  const subject = makeSubject(script);
  const answer = await answerOf((done) => settle({ ...FIRST, ...request }, subject, done));
  return { answer, subject };
}

describe('settle', () => {
  it('asks the lane once when it has the record', async () => {
    const { answer, subject } = await run(
      {},
      { answers: [result('committed', { record: COMMITTED })] },
    );
    expect(answer).toMatchObject({ kind: 'decided', outcome: 'committed' });
    expect(subject.asked).toHaveLength(1);
    expect(subject.asked[0]).toMatchObject({ kind: 'commit', commitFingerprint: 0 });
  });

  it('passes on that the lane took nothing', async () => {
    const { answer } = await run({}, { answers: [REFUSAL] });
    expect(answer).toMatchObject({ kind: 'undecided', outcome: 'fenced', retryAfterMs: 500 });
  });

  it('lets the lane decide on what PostgreSQL has, when the record has left Redis', async () => {
    const { answer, subject } = await run(
      { verb: 'ship' },
      {
        answers: [result('not_found'), result('shipped', { record: COMMITTED })],
        archived: COMMITTED,
      },
    );
    expect(answer).toMatchObject({ outcome: 'shipped' });
    expect(subject.asked[1]).toMatchObject({ kind: 'ship', adopt: COMMITTED });
  });

  it('says not_found when neither has it, and only with a sign of life', async () => {
    const alive = await run({}, { answers: [result('not_found')] });
    expect(alive.answer).toMatchObject({ kind: 'decided', outcome: 'not_found' });
    expect(alive.subject.confirms).toBe(1);
    const dead = await run({}, { answers: [result('not_found')], isAlive: false });
    expect(dead.answer).toMatchObject({ kind: 'undecided', outcome: 'store_unavailable' });
  });

  it('says that it is not known when PostgreSQL cannot be asked', async () => {
    const archived = new Error('connection refused');
    const { answer } = await run({}, { answers: [result('not_found')], archived });
    expect(answer).toMatchObject({ kind: 'undecided', outcome: 'store_unavailable' });
    expect(JSON.stringify(answer)).toContain('connection refused');
  });

  describe('with lines and the epoch of the hold', () => {
    const retaking = { lines: LINES, holdEpoch: 4 };

    it('does not take again what is there', async () => {
      const { subject } = await run(retaking, {
        answers: [result('committed', { record: COMMITTED })],
      });
      expect(subject.asked[0]).not.toHaveProperty('retake');
    });

    it('takes the units of an expired hold again, in a second step', async () => {
      const { answer, subject } = await run(retaking, {
        answers: [
          result('expired', { record: EXPIRED }),
          result('committed', { record: COMMITTED }),
        ],
      });
      expect(answer).toMatchObject({ outcome: 'committed' });
      expect(subject.asked[1]).toMatchObject({ retake: { holdEpoch: 4 }, lines: LINES });
    });

    it('takes those of a lost hold again, behind a look into PostgreSQL', async () => {
      const { answer, subject } = await run(retaking, {
        answers: [result('not_found'), result('hold_lost')],
      });
      expect(answer).toMatchObject({ outcome: 'hold_lost' });
      expect(subject.asked[1]).toMatchObject({ retake: { holdEpoch: 4 } });
      expect(subject.confirms).toBe(1);
    });

    it('never sells again what PostgreSQL knows: the lane decides on that record', async () => {
      const { subject } = await run(retaking, {
        answers: [result('not_found'), result('committed', { record: COMMITTED, replayed: true })],
        archived: COMMITTED,
      });
      expect(subject.asked[1]).toMatchObject({ adopt: COMMITTED });
    });

    describe('in the time of the request', () => {
      const expired = result('expired', { record: EXPIRED });
      const committed = result('committed', { record: COMMITTED });
      const stale = result('undecided');
      const { retakeMsMax } = DEFAULT_RESERVATION_POLICY;
      beforeEach(() => vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }));
      afterEach(() => vi.useRealTimers());

      it('asks once more when the lane found the commit late or of another epoch', async () => {
        const { answer, subject } = await run(retaking, { answers: [expired, stale, committed] });
        expect(answer).toMatchObject({ kind: 'decided', outcome: 'committed' });
        expect(subject.asked[2]).toEqual(subject.asked[1]);
        const twice = await run(retaking, { answers: [expired, stale, stale] });
        expect(twice.answer).toMatchObject({ kind: 'undecided', outcome: 'undecided' });
        expect(twice.subject.confirms).toBe(0);
      });

      it('counts from when the request was read', async () => {
        const start = performance.now();
        const slow = async () => {
          vi.advanceTimersByTime(retakeMsMax - 1);
          return undefined;
        };
        const { subject } = await run(retaking, {
          answers: [result('not_found'), committed],
          archived: slow,
        });
        const untilMs = start + retakeMsMax;
        expect(subject.asked[1]).toMatchObject({ retake: { untilMs } });
      });

      it('asks no more when it is over', async () => {
        const tooSlow = async () => {
          vi.advanceTimersByTime(retakeMsMax);
          return undefined;
        };
        const { answer, subject } = await run(retaking, {
          answers: [result('not_found')],
          archived: tooSlow,
        });
        expect(answer).toMatchObject({ kind: 'undecided', outcome: 'undecided' });
        expect(subject.asked).toHaveLength(1);
      });

      it('takes nothing for a client that has left', async () => {
        const { answer, subject } = await run(
          { ...retaking, isAwaited: () => false },
          { answers: [expired] },
        );
        expect(answer).toMatchObject({ kind: 'undecided' });
        expect(subject.asked).toHaveLength(1);
      });

      it('says that it is not known only when the commit can do nothing any more', async () => {
        const lost = { ...REFUSAL, outcome: 'store_unavailable', mayArrive: true } as const;
        const subject = makeSubject({ answers: [expired, lost] });
        const answers: ReservationAnswer[] = [];
        settle({ ...FIRST, ...retaking }, subject, (answer) => answers.push(answer));
        await vi.advanceTimersByTimeAsync(retakeMsMax - 1);
        expect(subject.asked).toHaveLength(2);
        expect(answers).toEqual([]);
        await vi.advanceTimersByTimeAsync(1);
        expect(answers).toMatchObject([{ outcome: 'store_unavailable' }]);
      });
    });

    it('takes nothing again for an id that is out of its window', async () => {
      const made = new IdMaker((bytes) => Buffer.alloc(bytes)).make(NOW_MS - 86_400_001, 0);
      const { answer, subject } = await run(
        { ...retaking, reservationId: unpackId(made) },
        { answers: [result('not_found')] },
      );
      expect(answer).toMatchObject({ outcome: 'not_found' });
      expect(subject.asked).toHaveLength(1);
    });
  });

  it('wants a key for a part, and gives it to the lane', async () => {
    for (const verb of ['release', 'cancel', 'ship'] as const) {
      const without = await run({ verb, lines: LINES }, { answers: [] });
      expect(without.answer).toMatchObject({ outcome: 'idempotency_key_required' });
      const answers = [result('released', { record: HELD })];
      const keyed = await run({ verb, lines: LINES, idempotencyKey: 'k' }, { answers });
      expect(keyed.subject.asked[0]).toHaveProperty('operationKey');
    }
    const whole = await run(
      { verb: 'release', idempotencyKey: 'k' },
      { answers: [result('released')] },
    );
    expect(whole.subject.asked[0]).not.toHaveProperty('operationKey');
  });

  it('refuses a key that no header should carry', async () => {
    const { answer } = await run({ idempotencyKey: 'ä' }, { answers: [] });
    expect(answer).toMatchObject({ kind: 'refused', outcome: 'invalid_request' });
  });
});

describe('extend', () => {
  const run1 = async (script: SubjectScript) => {
    const subject = makeSubject(script);
    const request = { reservationId: 'order-1', ttlS: 60, level: undefined };
    return answerOf((done) => extend(request, subject, done));
  };

  it('moves the deadline', async () => {
    const answer = await run1({ answers: [result('extended', { record: HELD })] });
    expect(answer).toMatchObject({ kind: 'decided', outcome: 'extended', stamp: STAMP });
  });

  it('tells from PostgreSQL why there is no hold any more', async () => {
    const answers = [result('not_found')];
    const of = (archived: SubjectScript['archived']) =>
      run1(archived === undefined ? { answers } : { answers, archived });
    expect(await of(COMMITTED)).toMatchObject({ outcome: 'already_committed' });
    expect(await of(EXPIRED)).toMatchObject({ outcome: 'expired' });
    expect(await of(undefined)).toMatchObject({ outcome: 'not_found' });
    expect(await of(new Error('down'))).toMatchObject({ outcome: 'store_unavailable' });
  });
});
