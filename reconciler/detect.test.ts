import { describe, expect, it } from 'vitest';
import { NEVER } from '../engine/events/entry.ts';
import { needsRecovery, type RecoveryCause } from './detect.ts';
import { packTerm } from './term.ts';

const term = packTerm(2, 9);
const well = {
  exists: true,
  term,
  open: true,
  replidMatches: true,
  halfDone: false,
  last: { ...NEVER, epoch: term, seq: 4 },
  timeMs: 1,
};
const registered = { state: 'open', term, timeline: 2 } as const;

type Look = readonly [
  tail: Partial<typeof well>,
  registry: Partial<Parameters<typeof needsRecovery>[1]>,
  cause: RecoveryCause | undefined,
];

/** Each row breaks what it names and all that stands below it, so the order is tested too. */
const LOOKS: readonly Look[] = [
  [{ exists: false, open: false, term: 0 }, { state: 'parked' }, undefined],
  [{ exists: false, replidMatches: false, halfDone: true }, { state: 'new', term: 0 }, 'no_meta'],
  [{ replidMatches: false, halfDone: true, open: false }, { state: 'recovering' }, 'replid'],
  [{ halfDone: true, open: false }, { state: 'recovering' }, 'half_done'],
  [{ open: false }, { state: 'recovering', term: term + 1 }, 'closed'],
  [{}, { state: 'recovering', term: term + 1 }, 'registry_not_open'],
  [{}, { state: 'new', term: 0 }, 'registry_not_open'],
  [{}, { term: term + 1, timeline: 3 }, 'other_term'],
  [{}, { timeline: 3 }, 'postgres_promoted'],
  [{}, {}, undefined],
  // A registry that once saw a later timeline than the server's (a restored dump) is no cause.
  [{}, { timeline: 1 }, undefined],
];

describe('needsRecovery', () => {
  it.each(LOOKS)('tail %o, registry %o: %s', (tail, registry, cause) => {
    expect(needsRecovery({ ...well, ...tail }, { ...registered, ...registry })).toBe(cause);
  });
});
