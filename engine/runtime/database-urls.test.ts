import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from './database-urls.ts';

const names = (url: string) => parseDatabaseUrl(url).hosts.map(({ name }) => name);

describe('DATABASE_URL', () => {
  it('with one host stays what it is', () => {
    for (const url of [
      'postgres://127.0.0.1/holdfast',
      'postgresql://me:p%40ss@db:6000/holdfast?sslmode=require&application_name=x',
      'postgresql://me@[2001:db8::1]:5433/holdfast',
      'postgresql:///holdfast?host=/var/run/postgresql',
      'postgresql://me@/holdfast?host=/var/run/postgresql',
    ]) {
      expect(parseDatabaseUrl(url), url).toMatchObject({ first: url, hosts: { length: 1 } });
    }
  });

  it('names several hosts as libpq spells them', () => {
    const { hosts, first } = parseDatabaseUrl(
      'postgresql://me:secret@a.example:6000,10.0.0.2,[::1]:6002/holdfast?sslmode=require',
    );
    expect(hosts).toEqual([
      { name: 'a.example:6000', host: 'a.example', port: 6000 },
      { name: '10.0.0.2:5432', host: '10.0.0.2', port: 5432 },
      { name: '[::1]:6002', host: '::1', port: 6002 },
    ]);
    expect(first).toBe('postgresql://me:secret@a.example:6000/holdfast?sslmode=require');
  });

  it('takes the targets that mean the primary, and no other', () => {
    const url = 'postgresql://a,b/holdfast?target_session_attrs=';
    expect(parseDatabaseUrl(`${url}read-write&sslmode=disable`).first).toBe(
      'postgresql://a/holdfast?sslmode=disable',
    );
    expect(parseDatabaseUrl(`${url}primary`).first).toBe('postgresql://a/holdfast');
    expect(() => names(`${url}standby`)).toThrow('may be read-write or primary, not standby');
  });

  it.each([
    ['http://me:secret@host/db', 'wants postgresql://'],
    ['nonsense', 'wants postgresql://'],
    ['postgresql://me:secret@a,,b/db', 'between its commas, not ""'],
    ['postgresql://me:secret@a:0,b/db', 'not "a:0"'],
    ['postgresql://me:secret@a:99999/db', 'not "a:99999"'],
    ['postgresql://me:secret@a,b:x/db', 'not "b:x"'],
    ['postgresql://me:secret@a,a:5432/db', 'names a:5432 twice'],
    [`postgresql://${Array.from({ length: 17 }, (_, i) => `h${i}`).join()}/db`, 'more than 16'],
  ])('%s: %s', (url, message) => {
    expect(() => parseDatabaseUrl(url)).toThrow(message);
    expect(() => parseDatabaseUrl(url)).not.toThrow('secret');
  });
});
