/** Each sign that a lane needs recovery counts when it is the only one. */
import { describe, expect, it } from 'vitest';
import type { LaneTail } from '../engine/redis/lane-state.ts';
import { needsRecovery, type RecoveryCause } from './detect.ts';
import { packTerm } from './term.ts';

const TERM = packTerm(1, 4);
const WELL: Omit<LaneTail, 'entries'> = {
  exists: true,
  term: TERM,
  open: true,
  replidMatches: true,
  halfDone: false,
  last: { epoch: TERM, seq: 7, nonce: Buffer.alloc(8) },
  timeMs: 1,
};
const OPEN: Parameters<typeof needsRecovery>[1] = { state: 'open', term: TERM, timeline: 1 };

const ALONE: readonly [
  cause: RecoveryCause,
  tail: Partial<typeof WELL>,
  registry: Partial<typeof OPEN>,
][] = [
  ['no_meta', { exists: false }, {}],
  ['replid', { replidMatches: false }, {}],
  ['half_done', { halfDone: true }, {}],
  ['closed', { open: false }, {}],
  ['registry_not_open', {}, { state: 'recovering' }],
  ['other_term', {}, { term: TERM + 1 }],
  ['postgres_promoted', {}, { timeline: 2 }],
];

describe('needsRecovery', () => {
  it.each(ALONE)('sees %s alone', (cause, tail, registry) => {
    expect(needsRecovery({ ...WELL, ...tail }, { ...OPEN, ...registry })).toBe(cause);
  });

  it('leaves a lane alone that is well', () => {
    expect(needsRecovery(WELL, OPEN)).toBeUndefined();
  });
});
