import { expect, it } from 'vitest';
import { expectedSeconds, wordsOnDuration } from './durations.ts';
import { SCENARIOS } from './scenarios.ts';

it('expects the usual full run to end within an hour', () => {
  const usual = SCENARIOS.filter(({ runs }) => runs !== 'when named');
  expect(expectedSeconds(usual)).toBeLessThanOrEqual(60 * 60);
});

it('says it in a line', () => {
  const two = [{ fullSeconds: 90 }, { fullSeconds: 34 }];
  expect(wordsOnDuration(two)).toBe('2 scenarios, about 3 minutes on two cores');
  expect(wordsOnDuration([{ fullSeconds: 34 }])).toBe('1 scenario, about 1 minute on two cores');
});
