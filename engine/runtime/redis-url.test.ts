import { describe, expect, it } from 'vitest';
import { describeTarget, parseRedisUrl } from './redis-url.ts';

describe('REDIS_URL', () => {
  it('names one Redis', () => {
    expect(parseRedisUrl('redis://127.0.0.1:6380/2')).toEqual({
      kind: 'node',
      tls: false,
      login: {},
      address: { host: '127.0.0.1', port: 6380 },
      database: 2,
    });
    expect(parseRedisUrl('rediss://shop:p%40ss@cache')).toMatchObject({
      tls: true,
      login: { username: 'shop', password: 'p@ss' },
      address: { host: 'cache', port: 6379 },
    });
    expect(parseRedisUrl('redis://:secret@[::1]:7000')).toMatchObject({
      login: { password: 'secret' },
      address: { host: '::1', port: 7000 },
    });
  });

  it('names a group by its Sentinels', () => {
    expect(
      parseRedisUrl('redis+sentinel://10.0.0.1:26379,10.0.0.2,[::1]:5000/sale?password=p%26w'),
    ).toEqual({
      kind: 'sentinel',
      tls: false,
      login: { password: 'p&w' },
      sentinels: [
        { host: '10.0.0.1', port: 26_379 },
        { host: '10.0.0.2', port: 26_379 },
        { host: '::1', port: 5000 },
      ],
      master: 'sale',
      sentinelLogin: {},
      database: 0,
    });
    expect(
      parseRedisUrl('rediss+sentinel://u:p@s1:1/m?sentinel_username=w&sentinel_password=q&db=3'),
    ).toMatchObject({
      tls: true,
      login: { username: 'u', password: 'p' },
      sentinelLogin: { username: 'w', password: 'q' },
      database: 3,
    });
  });

  it.each([
    ['http://h', /wants redis:\/\//],
    ['redis://', /no host/],
    ['redis://a:1,b:2/m', /several hosts; those of Sentinels/],
    ['redis://a:70000', /"a:70000" is no host:port/],
    ['redis://a/x', /database "x"/],
    ['redis://a?tls=1', /unknown parameter "tls"/],
    ['redis+sentinel://a:1,b:2', /names no master/],
    ['redis+sentinel://a:1,/m', /"" is no host:port/],
    ['redis+sentinel://a:1/m?pasword=x', /unknown parameter "pasword"/],
    ['redis+sentinel://u:p@a:1/m?password=x', /login twice/],
    ['redis://%zz@a', /begins no %XX/],
  ])('%s is refused', (text, message) => {
    expect(() => parseRedisUrl(text)).toThrow(message);
  });

  it('is shown without its passwords', () => {
    const shown = describeTarget(
      parseRedisUrl('redis+sentinel://u:hush@a:1,b:2/m?sentinel_password=hush2'),
    );
    expect(shown).toBe('the Redis group "m" (Sentinels a:1, b:2)');
    expect(() => parseRedisUrl('redis://u:hush@a,b')).not.toThrow(/hush/);
  });
});
