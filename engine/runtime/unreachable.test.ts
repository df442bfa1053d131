import { describe, expect, it } from 'vitest';
import { isRefused, isUnreachable, untilThere, WaitEnded } from './unreachable.ts';

const withCode = (code: string, message = code) => Object.assign(new Error(message), { code });
const silent = { info: () => undefined, warn: () => undefined };

describe('a store that does not answer as it should', () => {
  it.each([
    withCode('ECONNREFUSED', ''),
    withCode('ENOTFOUND'),
    withCode('57P03', 'the database system is starting up'),
    new Error('Redis at 127.0.0.1:1 is not ready after 2000 ms: nothing answers; is it running?'),
    new Error('Kafka topic hf.log was not ready within 5000 ms: a partition has no leader'),
  ])('is away: %s', (error) => {
    expect([isUnreachable(error), isRefused(error)]).toEqual([true, false]);
  });

  it.each([
    withCode('28P01', 'password authentication failed for user "holdfast"'),
    withCode('3D000', 'database "holdfast" does not exist'),
    new Error('Redis at h:1 is not ready after 2000 ms: WRONGPASS invalid username-password pair'),
    new Error('Redis at h:1 is not ready after 2000 ms: NOAUTH Authentication required.'),
  ])('refuses us, which no time mends: %s', (error) => {
    expect([isUnreachable(error), isRefused(error)]).toEqual([false, true]);
  });

  it('has a bug: neither', () => {
    const error = new TypeError('x is not a function');
    expect([isUnreachable(error), isRefused(error)]).toEqual([false, false]);
  });
});

describe('waiting for a store', () => {
  it('tries until it is there, and says each time what it waits for', async () => {
    const said: string[] = [];
    const log = { ...silent, warn: (_: object, message: string) => void said.push(message) };
    let tries = 0;
    const attempt = async () => {
      if (++tries < 3) throw withCode('ECONNREFUSED', 'connect refused');
      return 'there';
    };
    expect(await untilThere({ what: 'Redis', log }, attempt)).toBe('there');
    expect(said).toEqual(Array(2).fill('waiting for Redis: connect refused'));
  });

  it('does not wait out a mistake', async () => {
    const attempt = () => Promise.reject(withCode('28P01', 'password authentication failed'));
    await expect(untilThere({ what: 'PostgreSQL', log: silent }, attempt)).rejects.toThrow(
      'password',
    );
  });

  it('ends with the signal, in a try that hangs and between two', async () => {
    const stopping = new AbortController();
    const { signal } = stopping;
    const hanging = untilThere(
      { what: 'it', log: silent, signal },
      () => new Promise(() => undefined),
    );
    const pausing = untilThere({ what: 'it', log: silent, signal }, () =>
      Promise.reject(withCode('ECONNREFUSED')),
    );
    const ends = [hanging, pausing].map((each) => expect(each).rejects.toThrow(WaitEnded));
    stopping.abort();
    await Promise.all(ends);
    await expect(
      untilThere({ what: 'it', log: silent, signal }, () => new Promise(() => undefined)),
    ).rejects.toThrow(WaitEnded);
  });
});
