import { describe, expect, it } from 'vitest';
import { AnswerHead } from './answer.ts';
import { requestIds } from './request-id.ts';
import { StampedBody } from './stamped.ts';

const next = requestIds();
const idOf = (nth: number): string => `hf_${String(nth).padStart(32, '0')}`;
const textOf = (answer: string | Uint8Array): string => Buffer.from(answer).toString();

describe('a stamped body', () => {
  it.each([
    ['with both ids', new StampedBody('{"r":"', '","i":"', '"}'), '{"r":"<R>","i":"<I>"}'],
    ['with one', new StampedBody(undefined, '{"i":"', '"}'), '{"i":"<I>"}'],
    [
      'that is not ASCII',
      new StampedBody('{"\u00e9":"', '","i":"', '"}'),
      '{"\u00e9":"<R>","i":"<I>"}',
    ],
  ])('%s says the same as bytes and as text, for ids of any length', (_, body, wanted) => {
    for (let nth = 0; nth < 20; nth += 1) {
      const requestId = nth % 3 === 0 ? `client-${nth}` : next();
      const id = nth % 4 === 0 ? `cart-${nth}` : idOf(nth);
      const answer = body.stamped(requestId, id);
      expect(textOf(answer)).toBe(wanted.replace('<R>', requestId).replace('<I>', id));
      expect(body.text(requestId, id)).toBe(textOf(answer));
    }
  });

  it('is bytes where it is given often, and only for ids of ours', () => {
    const body = new StampedBody('r', 'i', '');
    const kinds = Array.from({ length: 5 }, (_, nth) => typeof body.stamped(next(), idOf(nth)));
    expect(kinds).toEqual(['string', 'string', 'string', 'object', 'object']);
    expect(typeof body.stamped(next(), 'cart-1')).toBe('string');
    expect(typeof body.stamped('mine', idOf(1))).toBe('string');
  });
});

it('a head says the same as bytes and as text', () => {
  const head = new AnswerHead(201, { 'x-a': 'b' });
  for (const requestId of [next(), 'a', next(), 'client-12345', next(), 'x'.repeat(64)]) {
    expect(textOf(head.stamped(requestId))).toBe(head.text + requestId);
  }
});

it('request ids are as long as each other and never the same, also where the count begins anew', () => {
  const source = requestIds();
  const made = Array.from({ length: 250_000 }, source);
  expect(new Set(made).size).toBe(made.length);
  for (const id of made) if (!/^[A-Za-z0-9_-]{6}-\d{5}$/.test(id)) expect.fail(id);
  expect(new Set(made.map((id) => id.slice(0, 6))).size).toBe(3);
});
