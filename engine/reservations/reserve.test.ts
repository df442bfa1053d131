import { describe, expect, it } from 'vitest';
import { digestId } from '../domain/reservation-id.ts';
import { Cart, mergeItems } from './cart.ts';
import { PUBLIC_CALLER } from './identity.ts';
import { lookUp } from './look-up.ts';
import type { ReserveRequest } from './reserve.ts';
import { reserve } from './reserve.ts';
import type { SubjectScript } from './test-subject.ts';
import {
  answerOf,
  COMMITTED,
  EXPIRED,
  HELD,
  makeSubject,
  REFUSAL,
  result,
} from './test-subject.ts';

const lines = mergeItems([
  { sku_id: 'A', warehouse_id: ['X', 'Y'], quantity: 2 },
  { sku_id: 'B', quantity: 1 },
]);
if (!Array.isArray(lines)) throw new Error('the cart overflowed');
const TERMS = { partial: false, split: true, ttlS: undefined, attributes: '' };
const CART = new Cart(lines, TERMS);

async function run(request: Partial<ReserveRequest>, script: SubjectScript) {
  const subject = makeSubject(script);
  const whole: ReserveRequest = {
    cart: CART,
    level: undefined,
    caller: PUBLIC_CALLER,
    idempotencyKey: undefined,
    reservationId: undefined,
    ...request,
  };
  return { answer: await answerOf((done) => reserve(whole, subject, done)), subject };
}

describe('reserve', () => {
  it('asks the lane under a fresh id, with the default TTL', async () => {
    const { answer, subject } = await run({}, { answers: [result('created', { record: HELD })] });
    expect(answer).toMatchObject({ kind: 'decided', outcome: 'created', level: 'memory' });
    expect(subject.asked[0]).toMatchObject({ kind: 'reserve', fresh: true, ttlS: 600 });
  });

  it('names the id with every answer, so that the unknown can be resolved', async () => {
    const id = digestId('ik_', PUBLIC_CALLER, 'k');
    const keyed = { idempotencyKey: 'k' };
    for (const script of [REFUSAL, result('insufficient'), result('unknown_sku')]) {
      expect((await run(keyed, { answers: [script] })).answer).toMatchObject({ id });
    }
  });

  it('asks nobody when the ids are wrong', async () => {
    const { answer } = await run({ reservationId: 'op_x' }, { answers: [] });
    expect(answer).toMatchObject({ kind: 'refused', pointer: '/reservation_id' });
  });

  describe('when the SKU never stood in the warehouse', () => {
    const answers = [result('unknown_warehouse', { shortages: [{ line: 0, available: 0 }] })];

    it('is sold out there, if the directory knows the warehouse', async () => {
      const { answer } = await run({}, { answers, warehouses: ['X', 'Y'] });
      expect(answer).toMatchObject({
        outcome: 'insufficient',
        shortages: [{ line: 0, available: 0 }],
      });
    });

    it('is a mistake of the client, if one of the warehouses is not known', async () => {
      const { answer } = await run({}, { answers, warehouses: ['X'] });
      expect(answer).toMatchObject({ outcome: 'unknown_warehouse' });
    });

    it('is not known, if the directory cannot tell', async () => {
      const { answer } = await run({}, { answers, warehouses: new Error('down') });
      expect(answer).toMatchObject({ kind: 'undecided', outcome: 'store_unavailable' });
    });
  });
});

describe('lookUp', () => {
  const look = async (script: SubjectScript) => {
    const subject = makeSubject(script);
    return { answer: await answerOf((done) => lookUp('r', undefined, subject, done)), subject };
  };

  it('shows what the lane has, a committed one once that is sure', async () => {
    const { answer, subject } = await look({ answers: [result('exists', { record: COMMITTED })] });
    expect(answer).toMatchObject({ outcome: 'exists', level: 'logged' });
    expect(subject.waits).toEqual(['logged']);
  });

  it('shows what PostgreSQL has, when the record has left Redis', async () => {
    const { answer, subject } = await look({
      answers: [result('not_found')],
      archived: COMMITTED,
    });
    expect(answer).toMatchObject({ outcome: 'exists', level: 'persisted', record: COMMITTED });
    expect(subject.waits).toEqual([]);
  });

  it('does not call a hold expired, or unknown, without a sign of life', async () => {
    const expired = await look({
      answers: [result('exists', { record: EXPIRED })],
      isAlive: false,
    });
    expect(expired.answer).toMatchObject({ outcome: 'store_unavailable' });
    const unknown = await look({ answers: [result('not_found')], isAlive: false });
    expect(unknown.answer).toMatchObject({ outcome: 'store_unavailable' });
  });

  it('does not trust a node that lacks a hold which PostgreSQL has', async () => {
    const script = { answers: [result('not_found')], archived: HELD };
    expect((await look({ ...script, isAlive: false })).answer.kind).toBe('undecided');
    expect((await look({ ...script, isAlive: true })).answer).toMatchObject({ record: HELD });
  });
});
