import { describe, expect, it } from 'vitest';
import { type ClusterState, pairUrl, primaryOf } from './postgres-pair.ts';

describe('primaryOf', () => {
  it.each<[first: ClusterState, second: ClusterState, primary: 'first' | 'second', why: string]>([
    ['none', 'none', 'first', 'the first start'],
    [1, 'none', 'first', 'there was one server, a standby is wanted now'],
    [1, 'standby', 'first', 'as it was'],
    ['standby', 2, 'second', 'promoted, and the old one already follows'],
    [1, 2, 'second', 'promoted, and the old one does not know'],
    [3, 2, 'first', 'promoted back, and the second does not know'],
    ['none', 2, 'second', 'the first was deleted'],
    ['none', 'standby', 'second', 'the first was deleted, and nobody was promoted'],
    ['standby', 'standby', 'first', 'nobody was promoted: it starts, and takes no writes'],
  ])('%s and %s: the %s (%s)', (first, second, primary) => {
    expect(primaryOf(first, second)).toBe(primary);
  });
});

describe('pairUrl', () => {
  it('names the hosts as libpq spells it', () => {
    expect(pairUrl([1, 2])).toBe('postgresql://holdfast@127.0.0.1:1,127.0.0.1:2/holdfast');
  });
});
