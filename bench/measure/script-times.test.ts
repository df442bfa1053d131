import { expect, it } from 'vitest';
import { type SlowEntry, timesOf } from './script-times.ts';

const entry = (us: number, name: string): SlowEntry => [0, 0, us, [name, 'x']];

it('times scripts alone, not what they called nor what others asked', () => {
  const entries = [
    entry(900, 'EVALSHA'),
    entry(5_000, 'hgetall'),
    entry(100, 'evalsha'),
    entry(400, 'EVAL'),
    entry(9_000, 'flushall'),
  ];
  expect(timesOf(entries)).toEqual({ count: 3, p50Us: 400, longestUs: 900 });
});

it('is nothing of nothing', () => {
  expect(timesOf([])).toEqual({ count: 0, p50Us: 0, longestUs: 0 });
});
