import { describe, expect, it } from 'vitest';
import { judge } from './judge.ts';

const KNOWN = { reserve: 3, reject: 1.5 };

describe('judge', () => {
  it.each([
    ['what is as it was', [{ reserve: 3, reject: 1.5 }], []],
    ['what is better', [{ reserve: 1, reject: 0.2 }], []],
    ['a little worse, which one count is', [{ reserve: 3.1, reject: 1.55 }], []],
    ['what is worse', [{ reserve: 3.4, reject: 1.5 }], ['reserve']],
    ['all worse', [{ reserve: 9, reject: 9 }], ['reserve', 'reject']],
    ['no number', [{ reserve: Number.NaN, reject: 1.5 }], ['reserve']],
  ])('finds %s', (_, tries, worse) => {
    const found = judge(tries, KNOWN).filter(({ isWorse }) => isWorse);
    expect(found.map(({ what }) => what)).toEqual(worse);
  });

  it('takes the best try of each ratio', () => {
    const tries = [
      { reserve: 9, reject: 1.5 },
      { reserve: 3, reject: 9 },
    ];
    expect(judge(tries, KNOWN)).toEqual([
      { what: 'reserve', measured: 3, known: 3, isWorse: false },
      { what: 'reject', measured: 1.5, known: 1.5, isWorse: false },
    ]);
  });

  it('finds what is worse in each of three tries', () => {
    const tries = [4, 3.9, 4.2].map((reserve) => ({ reserve, reject: 1.5 }));
    expect(judge(tries, KNOWN)[0]).toMatchObject({ measured: 3.9, isWorse: true });
  });

  it('refuses ratios that only one side knows', () => {
    expect(() => judge([{ reserve: 3 }], KNOWN)).toThrow(
      '"reject" is among the known ratios, and was not measured',
    );
    expect(() => judge([{ ...KNOWN, new: 1 }], KNOWN)).toThrow(
      '"new" is not among the known ratios; measured: [{',
    );
  });
});
