import { expect, it } from 'vitest';
import { scriptDigest } from '../../engine/redis/script.ts';
import { type SlowEntry, timesOf } from './script-times.ts';

const entry = (us: number, name: string, digest = 'x'): SlowEntry => [0, 0, us, [name, digest]];

it('times scripts alone, not what they called nor what others asked', () => {
  const entries = [
    entry(900, 'EVALSHA'),
    entry(5_000, 'hgetall'),
    entry(100, 'evalsha'),
    entry(400, 'EVAL'),
    entry(9_000, 'flushall'),
  ];
  expect(timesOf(entries)).toMatchObject({ count: 3, p50Us: 400, longestUs: 900 });
});

it('says which script it was, the longest first', () => {
  const entries = [
    entry(900, 'EVALSHA', scriptDigest('expire')),
    entry(700, 'evalsha', scriptDigest('expire')),
    entry(5_000, 'evalsha', scriptDigest('trim')),
    entry(600, 'evalsha'),
  ];
  expect([...timesOf(entries).byName]).toEqual([
    ['trim', { count: 1, p50Us: 5_000, longestUs: 5_000 }],
    ['expire', { count: 2, p50Us: 700, longestUs: 900 }],
    ['other', { count: 1, p50Us: 600, longestUs: 600 }],
  ]);
});

it('is nothing of nothing', () => {
  expect(timesOf([])).toEqual({ count: 0, p50Us: 0, longestUs: 0, byName: new Map() });
});
