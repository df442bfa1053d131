/** `holdfast serve` as a process of its own: for whoever needs several engines, or their CPU apart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../deploy/local/paths.ts';

export interface RoleProcess {
  readonly pid: number;
  /** SIGTERM, and SIGKILL when it takes too long; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ServeProcess extends RoleProcess {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

export interface RoleOptions {
  /** The stores, and HOLDFAST_... settings. */
  readonly env: Readonly<Record<string, string>>;
}

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;

/** Resolves when it listens, on a free port; rejects with what it printed when it ends before. */
export async function startServeProcess(options: RoleOptions): Promise<ServeProcess> {
  const { line, ...running } = await startRole('serve', ['--port', '0'], options);
  const url = /https?:\/\/[^\s/]+/.exec(line)?.[0];
  if (url === undefined) {
    await running.stop();
    throw new Error(`holdfast serve says no address where it is ready: ${line}`);
  }
  const { hostname: host, port } = new URL(url);
  return { ...running, url, host, port: Number(port) };
}

/** Resolves when the role says that it runs. */
export async function startRoleProcess(
  role: 'persist' | 'recover' | 'relay',
  options: RoleOptions,
): Promise<RoleProcess> {
  const { line: _, ...running } = await startRole(role, [], options);
  return running;
}

async function startRole(
  role: string,
  args: readonly string[],
  { env }: RoleOptions,
): Promise<RoleProcess & { readonly line: string }> {
  const main = join(packageRoot(), 'dist/engine/main.js');
  const child = spawn(process.execPath, [main, role, ...args], {
    // Whoever names servers of a test knows how they are set: PostgreSQL without fsync.
    env: { HOLDFAST_SETTINGS_CHECK: 'warn', ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // It ends with us, however we end in order.
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  }).finally(() => process.off('exit', killNow));
  const stop = async (): Promise<void> => {
    const lastResort = setTimeout(killNow, STOP_MS_MAX);
    child.kill('SIGTERM');
    await ended;
    clearTimeout(lastResort);
  };
  try {
    return { pid: child.pid ?? 0, line: await firstLine(role, child, ended), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Of its stdout, which it prints when it is ready. */
function firstLine(role: string, child: ChildProcess, ended: Promise<void>): Promise<string> {
  return new Promise((resolve, reject) => {
    let errors = '';
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`holdfast ${role} ${what}:\n${errors}`));
    };
    const timer = setTimeout(() => fail(`is not ready after ${READY_MS_MAX} ms`), READY_MS_MAX);
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + String(chunk)).slice(-4_000);
    });
    void ended.then(() => fail('ended before it was ready'));
    if (child.stdout === null) return fail('has no stdout');
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer);
      resolve(line);
    });
  });
}
