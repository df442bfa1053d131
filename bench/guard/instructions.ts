/**
 * Counts the instructions that a program executes, with callgrind (valgrind): they are as many on a
 * machine that is busy or slow, where CPU time is not.
 *
 * What the kernel does for the program is not counted, nor how well its memory fits the caches.
 *
 *     starting   until `begin`: nothing is counted, which is faster
 *     counting   slowest where code runs for the first time, because valgrind translates it then
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface CountedProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Its own, made for it: callgrind's files. */
  readonly directory: string;
  /** Its parent hears what it sends. */
  readonly onMessage?: (message: unknown) => void;
}

export interface CountedProcess {
  send(message: object): void;
  begin(): Promise<void>;
  /** Instructions of all its threads while `work` lasts. */
  count(work: () => Promise<unknown>): Promise<number>;
  /** Rejects when it ends by itself, with what it said; never resolves. */
  readonly broken: Promise<never>;
  kill(): Promise<void>;
}

const run = promisify(execFile);
const ERRORS_MAX = 4_000;

export async function startCounted(program: CountedProgram): Promise<CountedProcess> {
  const { command, args, env, directory } = program;
  await mkdir(directory, { recursive: true });
  const out = join(directory, 'count');
  const own = ['--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${out}`];
  const child = spawn('valgrind', ['-q', ...own, command, ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + String(chunk)).slice(-ERRORS_MAX);
  });
  if (program.onMessage !== undefined) child.on('message', program.onMessage);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      errors += error.message;
      resolve();
    });
    child.once('exit', () => resolve());
  }).finally(() => process.off('exit', killNow));
  const broken = ended.then((): never => {
    throw new Error(`${command} ended while it was counted: ${errors}`);
  });
  // Whoever waits for it hears of it; who has killed it need not.
  broken.catch(() => undefined);
  const tell = (...words: readonly string[]) => run('vgdb', [`--pid=${child.pid}`, ...words]);
  return {
    broken,
    send: (message) => void child.send(message),
    async begin() {
      await tell('instrumentation', 'on');
    },
    async count(work) {
      await tell('zero');
      await Promise.race([work(), broken]);
      await tell('dump');
      return await takeCount(directory);
    },
    async kill() {
      killNow();
      await ended;
    },
  };
}

/** Of the one dump that is there; it is deleted. */
async function takeCount(directory: string): Promise<number> {
  const names = (await readdir(directory)).filter((name) => name.startsWith('count.'));
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new Error(`callgrind wrote ${names.length} dumps for one count`);
  }
  const path = join(directory, name);
  const [, total] = /^(?:summary|totals): (\d+)$/m.exec(await readFile(path, 'utf8')) ?? [];
  if (total === undefined) throw new Error('callgrind wrote a dump without its sum');
  await rm(path);
  return Number(total);
}
