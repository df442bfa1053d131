/**
 * Runs every command of every runbook, in order, against real servers to which the page's fault
 * happens, and compares what it prints with what the page says that it prints.
 *
 * `npm test` runs the pages of QUICK, `npm run test:long` all. HOLDFAST_RUNBOOK_SHOW=1 prints what each
 * command said: for whoever writes a page.
 */
import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { packageRoot } from '../local/paths.ts';
import { missingLine, readRunbook, type Step } from './testing/steps.ts';
import { openWorld, type World } from './testing/world.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const IS_SHOWN = process.env.HOLDFAST_RUNBOOK_SHOW === '1';
/** One Redis, no Kafka: seconds each. */
const QUICK: readonly string[] = ['drift.md', 'overload.md', 'redis-lost.md'];
const PAGE_MS_MAX = 300_000;
const COMMAND_MS_MAX = 60_000;
const REPEAT_MS_MAX = 90_000;
const REPEAT_PAUSE_MS = 250;

const pages = readdirSync(import.meta.dirname).filter(
  (name) => name.endsWith('.md') && !['README.md', 'guarantees.md'].includes(name),
);
const skipped = IS_LONG ? [] : pages.filter((page) => !QUICK.includes(page));
if (skipped.length > 0)
  console.info(`skipped: ${skipped.join(', ')} take minutes; npm run test:long`);
const read = (page: string) => readRunbook(readFileSync(join(import.meta.dirname, page), 'utf8'));

describe.each(pages)('%s', (page) => {
  const { world, steps } = read(page);

  it('has commands, and names its world', () => {
    expect(steps.some(({ kind }) => kind === 'run')).toBe(true);
    expect(world).not.toEqual([]);
  });

  it.skipIf(skipped.includes(page))(
    'says what happens',
    async () => {
      const place = await openWorld(world);
      try {
        const env = { ...process.env, PATH: `${makePrograms()}:${process.env.PATH ?? ''}` };
        for (const step of steps) await take(page, step, place, env);
      } finally {
        await place.end();
      }
    },
    PAGE_MS_MAX,
  );
});

async function take(page: string, step: Step, world: World, env: NodeJS.ProcessEnv): Promise<void> {
  const where = `${page}:${step.line}`;
  if (step.kind === 'do') {
    if (IS_SHOWN) process.stdout.write(`\n--- ${where}: ${step.action}\n`);
    await world.act(step.action);
    return;
  }
  const deadline = performance.now() + (step.isRepeated ? REPEAT_MS_MAX : 0);
  for (;;) {
    const fault = await tryCommand(where, step, { ...env, ...world.env });
    if (fault === undefined) return;
    if (performance.now() >= deadline) throw new Error(`${where}: ${fault}`);
    await new Promise((resolve) => setTimeout(resolve, REPEAT_PAUSE_MS));
  }
}

async function tryCommand(
  where: string,
  step: Extract<Step, { kind: 'run' }>,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const { exit, output } = await runShell(step.command, env);
  const missing = missingLine(output, step.shows);
  const isRight = exit === step.exit && missing === undefined;
  if (IS_SHOWN && (isRight || !step.isRepeated)) {
    process.stdout.write(`\n--- ${where}\n$ ${step.command}\n${output}(exit ${exit})\n`);
  }
  if (isRight) return undefined;
  const why =
    exit === step.exit ? `it does not show "${missing}"` : `exit ${exit} instead of ${step.exit}`;
  return `${step.command}\n${why}; it printed:\n${output}`;
}

function runShell(
  command: string,
  env: NodeJS.ProcessEnv,
): Promise<{ exit: number; output: string }> {
  return new Promise((resolve) => {
    const options = { env, timeout: COMMAND_MS_MAX };
    const shell = execFile(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', command],
      options,
      (error, out, err) =>
        resolve({
          exit: error === null ? 0 : (shell.exitCode ?? -1),
          // curl ends its output without an end of line.
          output: `${out.replace(/\n?$/, '\n')}${err}`,
        }),
    );
  });
}

/** A directory with `holdfast`: the compiled program, which this run has just built. */
function makePrograms(): string {
  const directory = serverDirectory(currentTestRun(), 'bin');
  const main = join(packageRoot(), 'dist/engine/main.js');
  const path = join(directory, 'holdfast');
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  chmodSync(path, 0o755);
  return directory;
}
