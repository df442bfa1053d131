import { describe, expect, it } from 'vitest';
import { readPreference } from './preferences.ts';

describe('readPreference', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['durability=logged', 'logged'],
    ['Durability = "persisted"', 'persisted'],
    ['respond-async, durability=memory; x=1, wait=5', 'memory'],
    ['return=minimal', undefined],
    ['durability=logged, durability=memory', 'logged'],
    ['durability=LOGGED', 'logged'],
    ['durability=fsync', 'fsync'],
    [',,;=,', undefined],
  ])('reads %j as %j', (header, level) => {
    expect(readPreference(header)).toEqual({ kind: 'level', level });
  });

  it.each(['durability', 'durability=', 'durability=fsyncd', 'durability=__proto__'])(
    'refuses %j, because less would be taken for more',
    (header) => {
      const preference = readPreference(header);
      expect(preference.kind).toBe('invalid');
      if (preference.kind === 'invalid') {
        expect(preference.detail).toContain('memory, replicated, fsync, logged, persisted');
      }
    },
  );
});
