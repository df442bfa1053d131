import { expect, it } from 'vitest';
import { stolenShare } from '../report/words.ts';
import { parseCoreTimes, readCoreTimes, stolenBetween } from './stolen.ts';

const STAT = `cpu  100 5 40 800 20 0 5 30 7 0
cpu0 50 2 20 400 10 0 3 15 3 0
intr 1 2 3
`;

it('is the share of all cores that the host gave to others', () => {
  const before = parseCoreTimes(STAT);
  expect(before).toEqual({ all: 1_000, stolen: 30 });
  const after = parseCoreTimes(STAT.replace('cpu  100', 'cpu  160').replace(' 30 7', ' 70 7'));
  const stolen = stolenBetween(before, after) ?? Number.NaN;
  expect(stolen).toBeCloseTo(0.4);
  expect(stolenShare({ stolen })).toBe('40 %');
  expect(stolenShare({})).toBe('');
});

it('is not known where the system does not tell, or no time has passed', () => {
  expect(parseCoreTimes('cpu  1 2 3\n')).toBeUndefined();
  expect(parseCoreTimes('')).toBeUndefined();
  const times = parseCoreTimes(STAT);
  expect(stolenBetween(times, times)).toBeUndefined();
  expect(stolenBetween(undefined, times)).toBeUndefined();
});

it.runIf(process.platform === 'linux')('is told by Linux', () => {
  expect(readCoreTimes()?.all).toBeGreaterThan(0);
});
