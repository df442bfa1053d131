import { describe, expect, it } from 'vitest';
import { longestTurn } from './words.ts';

const turns = (...counts: readonly [upTo: number, count: number][]) => ({
  turns: {
    count: counts.reduce((sum, [, count]) => sum + count, 0),
    sum: 1,
    buckets: counts.map(([upTo, count]) => ({ upTo, count })),
  },
});

describe('the longest turn of the event loop', () => {
  it('is told by the bound below which it stayed, with how many were beyond the design', () => {
    expect(longestTurn(turns([0.001, 4], [0.0125, 0]))).toBe('<= 1');
    expect(longestTurn(turns([0.005, 4], [0.01, 9], [0.0125, 0]))).toBe('<= 10');
    expect(longestTurn(turns([0.01, 9], [0.0125, 1], [0.015, 2]))).toBe('<= 15 (3 of 12 over 10)');
  });

  it('may be beyond every bound, which a report that was read has as null', () => {
    const beyond = turns([0.01, 9], [1, 0], [Number.POSITIVE_INFINITY, 1]);
    expect(longestTurn(beyond)).toBe('> 1000 (1 of 10 over 10)');
    expect(longestTurn(JSON.parse(JSON.stringify(beyond)))).toBe('> 1000 (1 of 10 over 10)');
  });

  it('is below what is looked at, or not told in a report of before', () => {
    expect(longestTurn(turns([0.001, 0], [Number.POSITIVE_INFINITY, 0]))).toBe('< 1');
    expect(longestTurn({})).toBe('');
  });
});
