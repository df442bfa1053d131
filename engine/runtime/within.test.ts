import { expect, it } from 'vitest';
import { within } from './within.ts';

it('gives what the work gives, also its failure', async () => {
  await expect(within(Promise.resolve('done'), 60_000)).resolves.toBe('done');
  await expect(within(Promise.reject(new Error('broken')), 60_000)).rejects.toThrow('broken');
});

it('does not wait for work that hangs, and says how long it waited', async () => {
  const hung = new Promise(() => undefined);
  await expect(within(hung, 5)).rejects.toThrow('no answer within 5 ms');
  await expect(within(hung, 5, 'silent')).rejects.toThrow('silent');
});

it('makes no unhandled rejection of work that fails later', async () => {
  let fail = (_error: Error): void => undefined;
  const work = new Promise((_resolve, reject) => {
    fail = reject;
  });
  await expect(within(work, 1)).rejects.toThrow('no answer');
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  fail(new Error('too late'));
  // Node tells of it when the microtasks of this turn are done.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
