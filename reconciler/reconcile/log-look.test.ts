import { expect, it } from 'vitest';
import { judgeLog, lookAtLog } from './log-look.ts';

const bounds = (first: bigint, next: bigint) => ({
  name: 'topic',
  bounds: async () => ({ first, next }),
});

it('agrees where PostgreSQL reads within the log, its ends included', async () => {
  for (const offset of [3n, 5n, 9n]) {
    expect(await lookAtLog(bounds(3n, 9n), offset)).toEqual({ state: 'agrees' });
  }
});

it('tells a log that ends before, or begins behind, what PostgreSQL has read', () => {
  expect(judgeLog('topic', 10n, { first: 3n, next: 9n })).toMatchObject({
    state: 'disagrees',
    problem: expect.stringMatching(/up to 10, and it ends at 9/),
  });
  expect(judgeLog('topic', 2n, { first: 3n, next: 9n })).toMatchObject({
    state: 'disagrees',
    problem: expect.stringMatching(/up to 2, and it begins at 3/),
  });
});

it('says why it was not seen, and does not look where the log is embedded', async () => {
  const away = { name: 'topic', bounds: () => Promise.reject(new Error('ECONNREFUSED')) };
  expect(await lookAtLog(away, 0n)).toEqual({
    state: 'not_seen',
    problem: 'topic does not answer: ECONNREFUSED',
  });
  expect(await lookAtLog(undefined, 0n)).toEqual({ state: 'embedded' });
});
