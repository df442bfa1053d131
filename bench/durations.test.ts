import { expect, it } from 'vitest';
import { expectedSeconds, FULL_SECONDS, wordsOnDuration } from './durations.ts';
import { SCENARIOS } from './scenarios.ts';

it('knows every scenario, and no other', () => {
  expect(Object.keys(FULL_SECONDS).sort()).toEqual(SCENARIOS.map(({ name }) => name).sort());
});

it('expects the usual full run to end within an hour', () => {
  const usual = SCENARIOS.filter(({ runs }) => runs !== 'when named');
  expect(expectedSeconds(usual)).toBeLessThanOrEqual(60 * 60);
});

it('says it in a line', () => {
  const sum = (FULL_SECONDS.lane ?? 0) + (FULL_SECONDS.guard ?? 0);
  const minutes = Math.ceil(sum / 60);
  expect(wordsOnDuration([{ name: 'lane' }, { name: 'guard' }])).toBe(
    `2 scenarios, about ${minutes} minutes on two cores`,
  );
  expect(wordsOnDuration([{ name: 'guard' }])).toBe('1 scenario, about 1 minute on two cores');
  expect(wordsOnDuration([{ name: 'unheard-of' }])).toBe('1 scenario');
});
