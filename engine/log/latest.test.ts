import { describe, expect, it } from 'vitest';
import { Latest } from './latest.ts';
import { Backoff, pause } from './pause.ts';

describe('Latest', () => {
  it('acts once at a time, and with the newest of what came meanwhile', async () => {
    const acted: number[] = [];
    let busy = 0;
    const latest = new Latest<number>({
      act: async (value) => {
        expect(++busy).toBe(1);
        await Promise.resolve();
        acted.push(value);
        busy--;
      },
      onError: () => undefined,
    });
    for (let value = 1; value <= 5; value++) latest.offer(value);
    await latest.settled();
    expect(acted).toEqual([1, 5]);
    latest.offer(6);
    await latest.settled();
    expect(acted).toEqual([1, 5, 6]);
  });

  it('tells of what failed, and goes on with the next offer', async () => {
    const errors: unknown[] = [];
    const acted: string[] = [];
    const latest = new Latest<string>({
      act: async (value) => {
        if (value === 'bad') throw new Error('no');
        acted.push(value);
      },
      onError: (error) => errors.push(error),
    });
    latest.offer('bad');
    await latest.settled();
    latest.offer('good');
    await latest.settled();
    expect(acted).toEqual(['good']);
    expect(errors).toEqual([new Error('no')]);
  });
});

describe('Latest that knows the same again', () => {
  const isSame = (value: number, last: number): boolean => value === last;

  it('does not act on what is done, being done or waiting', async () => {
    const acted: number[] = [];
    const latest = new Latest<number>({
      act: async (value) => {
        acted.push(value);
        await Promise.resolve();
      },
      onError: () => undefined,
      isSame,
    });
    for (const value of [1, 1, 2, 2]) latest.offer(value);
    await latest.settled();
    latest.offer(2);
    await latest.settled();
    expect(acted).toEqual([1, 2]);
  });

  it('acts again on what came back, and on what failed', async () => {
    const acted: number[] = [];
    const latest = new Latest<number>({
      act: async (value) => {
        acted.push(value);
        if (acted.length === 1) throw new Error('no');
      },
      onError: () => undefined,
      isSame,
    });
    for (const value of [1, 1, 2, 1]) {
      latest.offer(value);
      await latest.settled();
    }
    expect(acted).toEqual([1, 1, 2, 1]);
  });

  it('does not forget what is newer than what failed', async () => {
    const acted: number[] = [];
    const latest = new Latest<number>({
      act: async (value) => {
        acted.push(value);
        await Promise.resolve();
        if (value === 1) throw new Error('no');
      },
      onError: () => undefined,
      isSame,
    });
    latest.offer(1);
    latest.offer(2);
    await latest.settled();
    latest.offer(2);
    await latest.settled();
    expect(acted).toEqual([1, 2]);
  });
});

describe('waiting', () => {
  it('ends early, without an error, when the signal comes or had come', async () => {
    const stopping = new AbortController();
    const waiting = pause(60_000, stopping.signal);
    stopping.abort();
    await expect(waiting).resolves.toBeUndefined();
    await expect(pause(60_000, stopping.signal)).resolves.toBeUndefined();
  });

  it('grows from first to max, and begins anew after a success', () => {
    const backoff = new Backoff({ firstMs: 50, maxMs: 300 });
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([50, 100, 200, 300, 300]);
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });
});
