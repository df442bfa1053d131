/** Compiles a copy of the checkout and runs tests in it, each within a bounded time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestReport } from './verdict.ts';

const COMPILE_MS_MAX = 120_000;
/** An interrupted Vitest ends its servers; then it is killed. */
const INTERRUPT_MS_MAX = 10_000;
const REPORT = 'test-report.json';

export interface Trial {
  /** Undefined: none was written, or the time was over. */
  readonly report: TestReport | undefined;
  readonly isTimeOver: boolean;
  /** The end of what the runner printed, for when there is no report. */
  readonly output: string;
}

/** Type errors, one a line; none when it compiles. The compiler writes its output in any case. */
export async function compile(directory: string): Promise<readonly string[]> {
  const args = ['deploy/local/bootstrap.mjs', 'build'];
  const { output, code, isTimeOver } = await run(directory, args, COMPILE_MS_MAX);
  if (isTimeOver) throw new Error(`compiling took longer than ${COMPILE_MS_MAX / 1_000} s`);
  const errors = output.split('\n').filter((line) => line.includes('error TS'));
  if (code !== 0 && errors.length === 0) throw new Error(`the build failed:\n${output}`);
  return errors;
}

export async function runTests(
  directory: string,
  files: readonly string[],
  options: { readonly bail: boolean; readonly timeoutMs: number },
): Promise<Trial> {
  const report = join(directory, REPORT);
  rmSync(report, { force: true });
  const { output, isTimeOver } = await run(
    directory,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--root',
      directory,
      '--reporter=json',
      `--outputFile=${report}`,
      ...(options.bail ? ['--bail=1'] : []),
      ...files,
    ],
    options.timeoutMs,
  );
  return { report: isTimeOver ? undefined : readReport(report), isTimeOver, output };
}

function readReport(path: string): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TestReport;
  } catch {
    // The runner ended before it could write it, or in the middle.
    return undefined;
  }
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly isTimeOver: boolean;
}

const OUTPUT_CHARACTERS_MAX = 200_000;

function run(directory: string, args: readonly string[], timeoutMs: number): Promise<Ended> {
  const { HOLDFAST_TEST_RUN: _own, ...env } = process.env;
  // A group of its own: when the time is over, its workers go with it.
  const child = spawn(process.execPath, args, {
    cwd: directory,
    env: { ...env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + String(chunk)).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const endNow = (): void => signalGroup(child, 'SIGKILL');
  process.once('exit', endNow);
  return new Promise((resolve, reject) => {
    let isTimeOver = false;
    let lastResort: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      isTimeOver = true;
      signalGroup(child, 'SIGINT');
      lastResort = setTimeout(endNow, INTERRUPT_MS_MAX);
    }, timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(lastResort);
      process.off('exit', endNow);
    };
    child.once('error', (error) => {
      settle();
      reject(error);
    });
    child.once('exit', (code) => {
      settle();
      resolve({ code, output, isTimeOver });
    });
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended at this moment.
  }
}
