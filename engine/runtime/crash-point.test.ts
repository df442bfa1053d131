import { describe, expect, it } from 'vitest';
import { CRASH_VARIABLE, crashPointFrom, noCrashPoint } from './crash-point.ts';

describe('a crash point', () => {
  it('is an empty function when the variable is not set', () => {
    expect(crashPointFrom({})).toBe(noCrashPoint);
    expect(crashPointFrom({ [CRASH_VARIABLE]: '' })).toBe(noCrashPoint);
  });

  it.each([
    ['persister.after_send', 1],
    ['persister.after_send:1', 1],
    ['persister.after_send:3', 3],
  ])('%s kills at pass %i, and only there', (value, nth) => {
    let kills = 0;
    const crash = crashPointFrom({ [CRASH_VARIABLE]: value }, () => kills++);
    for (let pass = 1; pass <= 5; pass++) {
      crash('persister.after_begin');
      crash('persister.after_send');
      expect(kills).toBe(pass >= nth ? 1 : 0);
    }
  });

  it.each(['persister.nowhere', 'relay', 'relay.after_read:0', 'relay.after_read:x'])(
    '%s is refused, so that a test cannot pass by a misspelling',
    (value) => {
      expect(() => crashPointFrom({ [CRASH_VARIABLE]: value })).toThrow(
        `${CRASH_VARIABLE}=${value}: want <point>[:<nth>], point of relay.after_read, `,
      );
    },
  );
});
