import { describe, expect, it } from 'vitest';
import { bar, count, ink, milliseconds, render, sparkline } from './ink.ts';

describe('render', () => {
  const line = [ink('abc', 'bold'), ink('def'), ink('ghi', 'green')];

  it('cuts to the width before it colours', () => {
    expect(render(line, 100, false)).toBe('abcdefghi');
    expect(render(line, 5, false)).toBe('abcde');
    expect(render(line, 7, true)).toBe('\u001b[1mabc\u001b[0mdef\u001b[32mg\u001b[0m');
    // No code for a span of which nothing is left.
    expect(render(line, 3, true)).toBe('\u001b[1mabc\u001b[0m');
  });
});

describe('bar', () => {
  const draw = (amounts: readonly number[], whole: number, width: number): string =>
    render(
      bar(
        amounts.map((amount, i) => ({ amount, mark: 'abc'[i] ?? '?', style: 'plain' })),
        whole,
        width,
      ),
      1_000,
      false,
    );

  it.each([
    { amounts: [5, 3, 2], whole: 10, drawn: 'aaaaabbbcc' },
    { amounts: [0, 0, 10], whole: 10, drawn: 'cccccccccc' },
    { amounts: [999, 1, 0], whole: 1_000, drawn: 'aaaaaaaaaa' },
    { amounts: [1, 999, 0], whole: 1_000, drawn: 'abbbbbbbbb' },
    { amounts: [0, 0, 0], whole: 10, drawn: '' },
    { amounts: [5, 0, 0], whole: 10, drawn: 'aaaaa' },
    // More than the whole, as when something is oversold: the bar stays in its width.
    { amounts: [15, 5, 0], whole: 10, drawn: 'aaaaaaaabb' },
  ])('$amounts of $whole', ({ amounts, whole, drawn }) => {
    expect(draw(amounts, whole, 10)).toBe(drawn);
  });
});

describe('sparkline', () => {
  it('shows the last values in proportion to the largest', () => {
    expect(sparkline([9, 0, 1, 2, 3, 4], 5)).toBe('▁▃▅▇█');
    expect(sparkline([0, 0], 5)).toBe('▁▁');
    expect(sparkline([], 5)).toBe('');
  });
});

describe('numbers', () => {
  it('are short', () => {
    expect(count(20_000)).toBe('20,000');
    expect([0.123, 9.99, 12.34, 123.4].map(milliseconds)).toEqual([
      '0.12 ms',
      '9.99 ms',
      '12.3 ms',
      '123 ms',
    ]);
  });
});
