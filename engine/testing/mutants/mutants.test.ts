/** The planted bugs still fit the sources, and the runner judges as it says. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../deploy/local/paths.ts';
import { type Mutant, MutantError, plant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';
import { judge, type TestReport } from './verdict.ts';

const ROOT = packageRoot();

describe('the table of planted bugs', () => {
  it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s fits', (_, mutant) => {
    const source = readFileSync(join(ROOT, mutant.file), 'utf8');
    expect(plant(mutant, source)).not.toBe(source);
    for (const test of mutant.tests) expect(existsSync(join(ROOT, test)), test).toBe(true);
  });

  it('has each name once, and tests for each', () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(MUTANTS.filter(({ tests }) => tests.length === 0)).toEqual([]);
  });

  it('takes no comparison with generated code for a catch', () => {
    expect(MUTANTS.filter(({ tests }) => tests.includes('lua/build.test.ts'))).toEqual([]);
  });
});

describe('planting', () => {
  const mutant: Mutant = {
    name: 'm',
    breaks: 'nothing',
    file: 'f',
    edits: [{ find: 'a', replace: '$&b' }],
    tests: ['t'],
  };

  it('replaces the text, as it is', () => {
    expect(plant(mutant, 'xax')).toBe('x$&bx');
  });

  it.each(['x', 'aa'])('refuses a source in which the text does not stand once: %s', (source) => {
    expect(() => plant(mutant, source)).toThrow(MutantError);
  });

  it('refuses an edit that changes nothing', () => {
    const same = { ...mutant, edits: [{ find: 'a', replace: 'a' }] };
    expect(() => plant(same, 'a')).toThrow('changes nothing');
  });
});

describe('the verdict', () => {
  const report = (...tests: [status: string, message?: string][]): TestReport => ({
    testResults: [
      {
        name: '/copy/a.test.ts',
        status: tests.some(([status]) => status === 'failed') ? 'failed' : 'passed',
        assertionResults: tests.map(([status, message], i) => ({
          fullName: `test ${i}`,
          status,
          failureMessages: message === undefined ? [] : [message],
        })),
      },
    ],
  });

  it('is caught, by the first assertion that failed', () => {
    const failed = report(
      ['passed'],
      ['failed', 'Error: Test timed out'],
      ['failed', 'AssertionError: expected 1 to be 2\n    at'],
    );
    expect(judge(failed, '/copy')).toMatchObject({
      kind: 'caught',
      by: { file: 'a.test.ts', test: 'test 2' },
    });
    const property = report(['failed', 'Error: Property failed after 3 tests\n{ seed: 1 }']);
    expect(judge(property, '/copy').kind).toBe('caught');
  });

  it('survived when every test passed', () => {
    expect(judge(report(['passed'], ['passed']), '/copy')).toEqual({ kind: 'survived' });
  });

  it.each([
    ['a helper threw', report(['failed', 'Error: receive: no']), 'by no assertion'],
    [
      'the file would not load',
      {
        testResults: [
          { name: 'a', status: 'failed', message: 'SyntaxError', assertionResults: [] },
        ],
      },
      'SyntaxError',
    ],
    ['no test ran', report(['skipped']), 'no test ran'],
    ['there is no report', undefined, 'no report'],
  ])('is unclear when %s', (_, given: TestReport | undefined, why) => {
    expect(judge(given, '/copy')).toMatchObject({
      kind: 'unclear',
      why: expect.stringContaining(why),
    });
  });
});
