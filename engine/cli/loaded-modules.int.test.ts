/**
 * What a process loads: its own role, and not what others do. Real processes of the build, whose
 * module loader writes down what it loads.
 */
import { spawn } from 'node:child_process';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../deploy/local/paths.ts';
import { startTestEngine, type TestEngine } from '../testing/engine.ts';

const TEST_MS_MAX = 300_000;
const DIST = join(packageRoot(), 'dist');
/** No import of ours is hidden from it: the build has ECMAScript modules alone. */
const LOADER = `export async function load(url, context, next) {
  process._rawDebug('LOADED ' + url);
  return next(url, context);
}`;
const REGISTER = `import { register } from 'node:module';
register(${JSON.stringify(dataUrl(LOADER))});`;

let deployment: TestEngine;
beforeAll(async () => {
  deployment = await startTestEngine();
}, TEST_MS_MAX);
afterAll(() => deployment?.close(), TEST_MS_MAX);

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script)}`;
}

/** Modules of ours from dist/, and the names of packages, until it says its first line. */
async function loadedBy(args: readonly string[]): Promise<readonly string[]> {
  const main = join(DIST, 'engine/main.js');
  const child = spawn(process.execPath, ['--import', dataUrl(REGISTER), main, ...args], {
    env: { ...process.env, ...deployment.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += String(chunk);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += String(chunk);
      resolve();
    });
    void ended.then(() => resolve());
  });
  child.kill('SIGTERM');
  await ended;
  expect(said, errors).not.toBe('');
  return [...errors.matchAll(/^LOADED (\S+)$/gm)].map(([, url = '']) => nameOf(url));
}

function nameOf(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
  return name ?? relative(DIST, path);
}

const HTTP = /^engine\/(http|stock|reservations)\/|uws/;
const OF_NO_ROLE =
  /^bench\/|^engine\/testing\/|^deploy\/local\/stack|listr2|cli-table3|hdr-histogram/;
const KAFKA = /kafka/;

it(
  'a role loads no other role, no bench, and no client of a Kafka that is not there',
  async () => {
    const persist = await loadedBy(['persist']);
    expect(persist).toContain('persister/persister.js');
    const recover = await loadedBy(['recover']);
    expect(recover).toContain('reconciler/watch.js');
    for (const role of [persist, recover]) {
      for (const others of [HTTP, OF_NO_ROLE, KAFKA]) {
        expect(role.filter((name) => others.test(name))).toEqual([]);
      }
    }
    const serve = await loadedBy(['serve', '--port', '0']);
    expect(serve).toContain('engine/http/routes.js');
    expect(serve.filter((name) => OF_NO_ROLE.test(name))).toEqual([]);
  },
  TEST_MS_MAX,
);

it(
  'a command that is asked for help loads nothing that acts',
  async () => {
    const help = await loadedBy(['persist', '--help']);
    expect(help).toContain('commander');
    const acting = /ioredis|^pg|zod|pino|^engine\/(?!cli|main|runtime\/collector)/;
    expect(help.filter((name) => acting.test(name))).toEqual([]);
  },
  TEST_MS_MAX,
);
