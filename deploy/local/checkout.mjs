/**
 * Makes a checkout runnable: the right Node, the packages, the compiled code. Plain JavaScript
 * without dependencies, because it runs before there are any.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The oldest Node that the engine runs on: 20.19. */
const NODE_VERSION_MIN = [20, 19];
const SOURCES = ['engine', 'lua', 'persister', 'reconciler', 'bench', 'deploy'];
/** npm runs scripts in a shell, which a signal to npm ends without passing it on. */
const PARENT_PID = process.ppid;
const PARENT_CHECK_INTERVAL_MS = 500;
/** kafkajs sets timers that are long over (an idle one each millisecond); newer Nodes remark on it. */
const NODE_FLAGS = ['--disable-warning=TimeoutNegativeWarning'];
const MODULES_STAMP = join(root, 'node_modules/.holdfast-packages');
const BUILD_STAMP = join(root, 'dist/.holdfast-built');

/** Ends the program with a message for its user. */
export class Failure extends Error {}

/** Progress goes to stderr: stdout belongs to the program that is started. */
export function say(text) {
  process.stderr.write(`holdfast: ${text}\n`);
}

export function requireNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new Failure(
    `Node ${version} is too old: install Node ${majorMin}.${minorMin} or newer (22 and 24 work) and start again`,
  );
}

/** Runs `npm ci` when the packages are not the ones that package-lock.json names for this Node. */
export function ensurePackages() {
  const lock = join(root, 'package-lock.json');
  const [major] = process.versions.node.split('.');
  // Optional packages differ between major versions of Node (see uWebSockets.js), so it counts too.
  const hash = createHash('sha256').update(readFileSync(lock)).digest('hex');
  const wanted = `${hash} node-${major} ${process.platform}-${process.arch}\n`;
  if (readIfThere(MODULES_STAMP) === wanted) return;
  if (!isInstalledByHand(lock)) {
    const start = performance.now();
    say('installing packages (npm ci) ...');
    runNpm(['ci', '--no-audit', '--no-fund']);
    say(`packages installed in ${secondsSince(start)} s`);
  }
  writeFileSync(MODULES_STAMP, wanted);
}

/**
 * Compiles to dist/ when a source is newer than what was compiled last. The compiler writes its
 * output in spite of type errors, which is enough for what `isErrorFatal: false` is for: a code
 * generator whose missing output is the error.
 */
export function ensureBuild({ isErrorFatal = true } = {}) {
  const startedAt = new Date();
  const newest = newestChange([...SOURCES, 'tsconfig.json', 'package-lock.json']);
  if (existsSync(BUILD_STAMP) && statSync(BUILD_STAMP).mtimeMs >= newest) return;
  const start = performance.now();
  say('compiling ...');
  const result = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    if (isErrorFatal) throw new Failure('the code does not compile: see the errors above');
    say('the code does not compile, going on with what the compiler wrote');
    return;
  }
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(BUILD_STAMP, '');
  // A source that was saved while the compiler ran is newer than this, and is compiled next time.
  utimesSync(BUILD_STAMP, startedAt, startedAt);
  say(`compiled in ${secondsSince(start)} s`);
}

/**
 * Runs a program of the project and ends as it ends: with its exit code, or by its signal.
 * @param {readonly string[]} args of node: a script and its arguments
 */
export function runToTheEnd(args, env = process.env) {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...args], { stdio: 'inherit', env });
  // A terminal sends its Ctrl-C to the child as well; a second one would mean "at once".
  const isFromTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const forward = (signal) => {
    if (signal !== 'SIGINT' || !isFromTerminal) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  const isFromNpm = process.env.npm_lifecycle_event !== undefined;
  const watch = setInterval(() => {
    if (!isFromNpm || process.ppid === PARENT_PID) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, PARENT_CHECK_INTERVAL_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearInterval(watch);
      for (const name of signals) process.off(name, forward);
      if (signal !== null) process.kill(process.pid, signal);
      resolve(code ?? 1);
    });
  });
}

export function runNpm(args) {
  const npm = process.env.npm_execpath ?? '';
  const [command, first] = npm.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []];
  const result = spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.status === 0) return;
  const reason = result.error?.message ?? `it ended with code ${result.status}`;
  throw new Failure(`npm ${args.join(' ')} failed: ${reason}`);
}

/** Runs the program's main function; what fails is told in one line, without a stack. */
export async function main(run) {
  try {
    process.exitCode = await run();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

/** npm writes this file at the end of an install; newer than the lock, it followed from it. */
function isInstalledByHand(lock) {
  const written = join(root, 'node_modules/.package-lock.json');
  const isFirstLook = !existsSync(MODULES_STAMP);
  return isFirstLook && existsSync(written) && statSync(written).mtimeMs >= statSync(lock).mtimeMs;
}

/** Directories count too: their time is that of the last file added or removed. */
function newestChange(paths) {
  let newest = 0;
  for (const path of paths) {
    const absolute = join(root, path);
    newest = Math.max(newest, statSync(absolute).mtimeMs);
    if (!statSync(absolute).isDirectory()) continue;
    for (const entry of readdirSync(absolute, { recursive: true, withFileTypes: true })) {
      if (!entry.isDirectory() && !entry.name.endsWith('.ts')) continue;
      newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
    }
  }
  return newest;
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function secondsSince(start) {
  return ((performance.now() - start) / 1_000).toFixed(1);
}
