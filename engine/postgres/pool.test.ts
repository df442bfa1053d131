import { expect, it } from 'vitest';
import { parseBigint } from './pool.ts';

it('a bigint becomes a number only when it is exact', () => {
  expect(parseBigint('-42')).toBe(-42);
  expect(parseBigint(String(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER);
  expect(() => parseBigint('9007199254740993')).toThrow(
    'PostgreSQL returned 9007199254740993, which is beyond 2^53',
  );
});
