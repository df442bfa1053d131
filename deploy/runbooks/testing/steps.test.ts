import { describe, expect, it } from 'vitest';
import { missingLine, readRunbook } from './steps.ts';

const PAGE = [
  '# Redis lost',
  '<!-- world: plain kafka -->',
  'Words.',
  '<!-- do: kill Redis -->',
  '<!-- until -->',
  '<!-- exit: 1 -->',
  '```sh',
  'holdfast lanes |',
  '  head -1',
  '```',
  '```text',
  'lane 0  closed',
  '```',
  '```sh',
  'true',
  '```',
].join('\n');

describe('readRunbook', () => {
  it('gives the commands with what they should show, and what happens in between', () => {
    expect(readRunbook(PAGE)).toEqual({
      world: ['plain', 'kafka'],
      steps: [
        { kind: 'do', line: 4, action: 'kill Redis' },
        {
          kind: 'run',
          line: 7,
          command: 'holdfast lanes |\n  head -1',
          shows: ['lane 0  closed'],
          exit: 1,
          isRepeated: true,
        },
        { kind: 'run', line: 14, command: 'true', shows: [], exit: 0, isRepeated: false },
      ],
    });
  });

  it.each([
    ['```sh\ntrue', 'line 1: the block does not end'],
    ['```text\nx\n```', 'line 1: this text stands behind no command'],
    ['```\nx\n```', 'line 1: a block is sh or text'],
  ])('%j: %s', (page, message) => {
    expect(() => readRunbook(page)).toThrow(message);
  });
});

describe('missingLine', () => {
  const output =
    'lane 0   open at 4294967297-12\n hf_512a029c5d8f00000a1b2c0bbadf00d1\nlag 0.3 s (1,x)';

  it.each([
    [['lane 0 open at 1-1', 'lag 17 s (3,x)']],
    [['lane 0 open at 9-9', 'hf_00000000000000000000000000000001']],
    [['lane ... at 1-1']],
    [['lag 0.5 s (1,...)']],
    [['lag ...']],
    [[]],
  ])('shows %j', (shows) => {
    expect(missingLine(output, shows)).toBeUndefined();
  });

  it.each([
    [['lane 0 closed at 1-1'], 'lane 0 closed at 1-1'],
    [['lag 1 s (1,x)', 'lane 0 open at 1-1'], 'lane 0 open at 1-1'],
    [['lane 0 open'], 'lane 0 open'],
    [['lag x s (1,x)'], 'lag x s (1,x)'],
  ])('lacks %j', (shows, missing) => {
    expect(missingLine(output, shows)).toBe(missing);
  });
});
