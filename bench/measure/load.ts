/** Runs the load generator in another process, so that its CPU is not the bench's. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import { type FlowPlan, type LoadPlan, type LoadResult, loadMsMax } from './wire-load.ts';

/** Beyond what the plan itself takes: to connect, on a busy machine. */
const GRACE_MS = 60_000;

export function generateLoad(plan: LoadPlan | FlowPlan): Promise<LoadResult> {
  const main = join(packageRoot(), 'dist/bench/measure/load-process.js');
  const child = spawn(process.execPath, [main, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const timer = setTimeout(killNow, loadMsMax(plan) + GRACE_MS);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('exit', killNow);
      if (code === 0) resolve(JSON.parse(output) as LoadResult);
      else reject(new Error(`the load generator ended with ${code}: ${errors}`));
    });
  });
}
