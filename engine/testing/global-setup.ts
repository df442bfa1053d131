/**
 * Vitest's global setup: compiles what tests start as processes of their own, opens the run that
 * all test servers belong to, and clears it at the end.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import { beginTestRun, clearTestRun } from './test-run.ts';

export default function setup(): () => void {
  // Type errors are shown, and do not keep the tests from running: `npm test` has checked before.
  spawnSync(process.execPath, [join(packageRoot(), 'deploy/local/bootstrap.mjs'), 'build'], {
    stdio: ['ignore', 2, 2],
  });
  const run = beginTestRun();
  const clear = () => {
    if (existsSync(run.directory)) clearTestRun(run.directory);
  };
  // Vitest calls the returned function at an orderly end only; exit also covers an interrupted run.
  process.once('exit', clear);
  return clear;
}
