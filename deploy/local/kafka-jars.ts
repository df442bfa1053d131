/**
 * The broker's jars: copied with Maven once per user (43 MB) into the cache directory, named by
 * the pom that lists them, so that a changed pom means other jars.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findMaven } from './find-programs.ts';
import { cacheDirectory, packageRoot } from './paths.ts';
import type { OnProgress } from './progress.ts';

/** A slow line needs minutes for 43 MB; a hanging one must not hold the start for ever. */
const DOWNLOAD_TIMEOUT_MS = 600_000;
const REASON_CHARACTERS_MAX = 1_000;

/** Where the jars are, or will be. */
export function kafkaJarsDirectory(env: NodeJS.ProcessEnv): string {
  const hash = createHash('sha256').update(readFileSync(pomPath())).digest('hex').slice(0, 12);
  return join(cacheDirectory(env), `kafka-jars-${hash}`);
}

export function hasKafkaJars(env: NodeJS.ProcessEnv): boolean {
  return existsSync(kafkaJarsDirectory(env));
}

/** Copies the jars when they are not there yet. */
export async function fetchKafkaJars(
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<string> {
  const directory = kafkaJarsDirectory(env);
  if (existsSync(directory)) return directory;
  const maven = findMaven(env);
  if (maven === undefined)
    throw new Error('Kafka is fetched with Maven, and there is no mvn in PATH');
  const detail = 'fetching it with Maven, once for this user (43 MB)';
  onProgress({ step: 'kafka', state: 'working', detail });
  // Renamed when complete: a download that broke off is never taken for the jars.
  const draft = `${directory}.${process.pid}`;
  mkdirSync(dirname(directory), { recursive: true });
  try {
    await runMaven(maven, draft, env, onProgress);
    if (!existsSync(directory)) renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return directory;
}

/** The name and size in Maven's `Downloaded from ...: .../kafka-clients-4.1.0.jar (9 MB at 3 MB/s)`. */
export function downloadedJar(line: string): string | undefined {
  const match = /^(?:\[INFO\] )?Downloaded from .*\/([^/\s]+\.jar) \(([^)]*?)(?: at [^)]*)?\)/.exec(
    line,
  );
  return match === null ? undefined : `${match[1]} (${match[2]})`;
}

function pomPath(): string {
  return join(packageRoot(), 'deploy/local/kafka/pom.xml');
}

function runMaven(
  maven: string,
  directory: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<void> {
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime'];
  const args = ['-B', '-f', pomPath(), ...goal, `-DoutputDirectory=${directory}`];
  const child = spawn(maven, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), DOWNLOAD_TIMEOUT_MS);
  let output = '';
  const onText = (text: string) => {
    output += text;
    for (const line of text.split('\n')) {
      const jar = downloadedJar(line);
      if (jar === undefined) continue;
      onProgress({ step: 'kafka', state: 'detail', detail: `downloaded ${jar}` });
    }
  };
  child.stdout.setEncoding('utf8').on('data', onText);
  child.stderr.setEncoding('utf8').on('data', onText);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`Maven could not fetch Kafka: ${mavenReason(output)}`));
    });
  });
}

/** Maven's first error names the cause; what follows it is advice on how to run Maven. */
function mavenReason(output: string): string {
  const lines = output.trim().split('\n');
  const cause = lines.find((line) => line.startsWith('[ERROR] ')) ?? lines.at(-1) ?? 'no output';
  return cause.replace('[ERROR] ', '').slice(0, REASON_CHARACTERS_MAX);
}
