import { describe, expect, it } from 'vitest';
import {
  counterOf,
  packTerm,
  parseTerm,
  showTerm,
  TIMELINE_MAX,
  termAfter,
  timelineOf,
} from './term.ts';

describe('terms', () => {
  it('hold timeline and counter exactly, up to the highest of both', () => {
    const highest = packTerm(TIMELINE_MAX, 2 ** 32 - 1);
    expect(highest).toBe(Number.MAX_SAFE_INTEGER);
    expect([timelineOf(highest), counterOf(highest)]).toEqual([TIMELINE_MAX, 2 ** 32 - 1]);
    expect(showTerm(packTerm(3, 7))).toBe('3.7');
  });

  it('go on counting when the timeline rises, and never go back', () => {
    const first = termAfter(0, 1);
    expect(showTerm(first)).toBe('1.1');
    const promoted = termAfter(termAfter(first, 1), 2);
    expect(showTerm(promoted)).toBe('2.3');
    // A dump restored into a new cluster: the registry has seen a later timeline than the server.
    expect(showTerm(termAfter(promoted, 1))).toBe('2.4');
  });

  it('are read as they are shown', () => {
    for (const term of [0, packTerm(1, 6), packTerm(TIMELINE_MAX, 2 ** 32 - 1)]) {
      expect(parseTerm(showTerm(term))).toBe(term);
    }
    for (const text of ['', '1', '1.', '1.6.2', '-1.6', '1.4294967296', '2097152.1', '1.6 ']) {
      expect(parseTerm(text), text).toBeUndefined();
    }
  });

  it('refuse what they cannot hold', () => {
    expect(() => termAfter(packTerm(1, 2 ** 32 - 1), 1)).toThrow(/counter 4294967296/);
    expect(() => packTerm(TIMELINE_MAX + 1, 0)).toThrow(RangeError);
    expect(() => packTerm(1.5, 0)).toThrow(RangeError);
  });
});
