import { describe, expect, it } from 'vitest';
import { packTerm, parseTerm } from './term.ts';
import { claimNamedBy, describeForeignClaim, planUnpark, type UnparkWish } from './unpark.ts';

const POSITION = { term: 0, epoch: 0, seq: 0, nonce: Buffer.alloc(8), offset: 0n, timeMs: 0 };
const NEWEST = packTerm(1, 2);
const CLAIMED = packTerm(1, 6);
const PARKED = { state: 'parked', term: NEWEST, position: POSITION } as const;

function plan(wish: Partial<UnparkWish>) {
  const usual = { registry: PARKED, redis: undefined, named: undefined, above: undefined };
  return planUnpark({ ...usual, ...wish });
}

describe('unparking', () => {
  it('is for a lane that is parked', () => {
    const registry = { ...PARKED, state: 'open' } as const;
    expect(plan({ registry })).toEqual({ kind: 'not_parked' });
    const stopped = { ...registry, position: { ...POSITION, parked: 'entry 3-1 cannot be read' } };
    expect(plan({ registry: stopped })).toEqual({ kind: 'unpark' });
  });

  it('burns no number while Redis carries a term that the registry never gave', () => {
    const redis = { exists: true, term: CLAIMED };
    expect(plan({ redis, named: CLAIMED })).toMatchObject({
      kind: 'refuse',
      reason: expect.stringMatching(/carries term 1\.6.*newest .* 1\.2.*--unpark --above 1\.6/),
    });
    expect(plan({ redis, named: CLAIMED, above: CLAIMED })).toEqual({
      kind: 'unpark',
      above: CLAIMED,
    });
  });

  it('takes no other number than the one that Redis was claimed under', () => {
    const redis = { exists: true, term: CLAIMED };
    for (const above of [CLAIMED - 1, CLAIMED + 1, packTerm(9, 1)]) {
      expect(plan({ redis, named: CLAIMED, above }).kind).toBe('refuse');
    }
    expect(plan({ above: CLAIMED }).kind).toBe('refuse');
  });

  it('goes on above it by itself when Redis has lost it: the log may know it still', () => {
    const emptied = { exists: false, term: 0 };
    expect(plan({ redis: emptied, named: CLAIMED })).toEqual({ kind: 'unpark', above: CLAIMED });
    const right = { exists: true, term: NEWEST };
    expect(plan({ redis: right })).toEqual({ kind: 'unpark' });
  });

  it('decides nothing about a Redis that does not answer', () => {
    expect(plan({ named: CLAIMED })).toEqual({ kind: 'unpark' });
  });

  it('reads the term back from what the parking said', () => {
    const said = `parked: ${describeForeignClaim(CLAIMED, NEWEST)}`;
    expect(parseTerm(claimNamedBy(said) ?? '')).toBe(CLAIMED);
    expect(claimNamedBy('parked: PostgreSQL is behind: it stands at 1.1-4')).toBeUndefined();
    expect(claimNamedBy(undefined)).toBeUndefined();
  });
});
