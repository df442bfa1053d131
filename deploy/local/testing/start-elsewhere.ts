/** A process of its own that starts a stack without Kafka, and may then be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '../paths.ts';
import type { StackOptions } from '../stack.ts';

/** Resolves when the stack is up; the process goes on as the JavaScript in `after` says. */
export async function startElsewhere(
  options: Pick<StackOptions, 'directory' | 'sentinel'>,
  after: string,
  env: NodeJS.ProcessEnv,
): Promise<ChildProcess> {
  const module = join(packageRoot(), 'dist/deploy/local/stack.js');
  const code = `const { startStack } = await import(${JSON.stringify(module)});
    await startStack(${JSON.stringify({ ...options, log: 'embedded' })});
    process.stdout.write('up\\n');
    ${after}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}
