import { describe, expect, it } from 'vitest';
import { createScreen, type Output } from './screen.ts';
import type { View } from './view.ts';

const view: View = {
  phase: 'real orders',
  elapsedMs: 1_000,
  log: 'embedded',
  sale: {
    skuId: 'FLASH-1',
    name: 'A CUP',
    units: 10,
    shoppers: 20,
    balances: undefined,
    soldOutAnswers: 0,
    duplicates: 0,
    through: 0,
    waiting: 0,
  },
  orders: undefined,
  traffic: { requestsPerS: 0, history: [], reserve: undefined, commit: undefined },
  lane: undefined,
  persisted: undefined,
  rows: undefined,
};

function outputOf(tty: Partial<Pick<Output, 'isTTY' | 'columns' | 'rows'>>): {
  readonly output: Output;
  readonly written: string[];
} {
  const written: string[] = [];
  const write: Output['write'] = (text: string | Uint8Array) => written.push(String(text)) > 0;
  return { output: { ...tty, write }, written };
}

const linesOf = (text: string): number => text.split('\n').length - 1;

describe('a terminal', () => {
  const terminal = { isTTY: true, columns: 80, rows: 40 };

  it('is redrawn in place, without its cursor, which comes back', () => {
    const { output, written } = outputOf(terminal);
    const screen = createScreen(output, {});
    const listeners = process.listenerCount('exit');
    screen.draw(view);
    screen.draw(view);
    const [first = '', second = ''] = written;
    expect(first.startsWith('\u001b[?25l\u001b[2K')).toBe(true);
    expect(second.startsWith(`\u001b[?25l\u001b[${linesOf(first)}A\r`)).toBe(true);
    screen.end();
    expect(written[2]).toBe('\u001b[?25h');
    expect(process.listenerCount('exit')).toBe(listeners);
    screen.end();
    expect(written).toHaveLength(3);
  });

  it('never gets more lines than it has rows', () => {
    const { output, written } = outputOf({ ...terminal, rows: 6 });
    const screen = createScreen(output, {});
    screen.draw(view);
    screen.end();
    expect(linesOf(written[0] ?? '')).toBe(5);
  });

  it('has no colours when NO_COLOR is set', () => {
    const { output, written } = outputOf(terminal);
    const screen = createScreen(output, { NO_COLOR: '1' });
    screen.draw(view);
    screen.end();
    expect(written[0]).not.toContain('[1m');
  });
});

describe('what is no terminal', () => {
  it.each([
    { name: 'a pipe', tty: {}, env: {} },
    { name: 'a dumb terminal', tty: { isTTY: true }, env: { TERM: 'dumb' } },
  ])('$name gets plain lines', ({ tty, env }) => {
    const { output, written } = outputOf(tty);
    const screen = createScreen(output, env);
    screen.draw(view);
    screen.end();
    expect(written).toEqual(['  1 s  real orders | 0 req/s\n']);
  });
});
