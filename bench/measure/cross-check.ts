/**
 * The same loops from generators that others wrote: a second opinion on ours. autocannon comes
 * with the packages; wrk (a Debian package) takes part where it is, or can be, installed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result } from 'autocannon';
import {
  installPrograms,
  MissingProgramsError,
  missingPrograms,
} from '../../deploy/local/install.ts';

export interface CheckPlan {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface CheckResult {
  readonly generator: 'autocannon' | 'wrk';
  readonly requestsPerSecond: number;
  /** Answers that were not 2xx or 3xx, and connections that failed: one that the server ends only wrk counts. */
  readonly errors: number;
}

export interface OpenCheckResult extends CheckResult {
  /** As autocannon corrects it for coordinated omission; of the whole run, its first moments too. */
  readonly p99Ms: number;
}

const GRACE_MS = 30_000;

const HEADERS = { 'content-type': 'application/json' };

/** Where it cannot be had without asking, that is told, and the check does without. */
export async function installWrk(
  onProgress: (what: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  try {
    await installPrograms(['wrk'], env, ({ detail }) => onProgress(detail));
  } catch (error) {
    if (!(error instanceof MissingProgramsError)) throw error;
    onProgress(`${error.summary}: the closed loop comes from autocannon alone`);
  }
}

export async function crossCheck(plan: CheckPlan): Promise<readonly CheckResult[]> {
  const hasWrk = missingPrograms(['wrk'], process.env).length === 0;
  const first = toCheck(await runAutocannon(plan));
  return hasWrk ? [first, await runWrk(plan)] : [first];
}

/** Requests come at a rate, whatever the answers take; wrk has no such load. */
export async function crossCheckOpen(plan: CheckPlan, rate: number): Promise<OpenCheckResult> {
  const result = await runAutocannon(plan, { overallRate: rate });
  return { ...toCheck(result), p99Ms: result.latency.p99 };
}

async function runAutocannon(
  { url, path, method, body, connections, seconds }: CheckPlan,
  pace: { readonly overallRate?: number } = {},
): Promise<Result> {
  // Here, because every process of ours would load it with the list of commands.
  const { default: autocannon } = await import('autocannon');
  return await autocannon({
    url: url + path,
    method,
    headers: HEADERS,
    ...(body !== undefined && { body }),
    connections,
    duration: wholeSeconds(seconds),
    ...pace,
  });
}

function toCheck({ requests, duration, errors, non2xx }: Result): CheckResult {
  return {
    generator: 'autocannon',
    requestsPerSecond: requests.total / duration,
    errors: errors + non2xx,
  };
}

/** wrk takes no others, and both shall do the same. */
function wholeSeconds(seconds: number): number {
  return Math.ceil(seconds);
}

async function runWrk(plan: CheckPlan): Promise<CheckResult> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-wrk-'));
  const script = join(directory, 'request.lua');
  writeFileSync(script, requestScript(plan));
  try {
    return readWrk(await run(plan, script));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function requestScript({ method, body }: CheckPlan): string {
  const quoted = JSON.stringify(body ?? '');
  return [
    `wrk.method = "${method}"`,
    `wrk.body = ${quoted}`,
    'wrk.headers["Content-Type"] = "application/json"',
    '',
  ].join('\n');
}

function run({ url, path, connections, ...plan }: CheckPlan, script: string): Promise<string> {
  const seconds = wholeSeconds(plan.seconds);
  const load = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script];
  const child = spawn('wrk', [...load, url + path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const timer = setTimeout(killNow, seconds * 1_000 + GRACE_MS);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('exit', killNow);
      if (code === 0) resolve(output);
      else reject(new Error(`wrk ended with ${code}`));
    });
  });
}

export function readWrk(output: string): CheckResult {
  const [, rate] = /^Requests\/sec: +([\d.]+)/m.exec(output) ?? [];
  if (rate === undefined) throw new Error(`wrk said no rate:\n${output}`);
  const [, answers = '0'] = /Non-2xx or 3xx responses: (\d+)/.exec(output) ?? [];
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    output,
  );
  const failed = (sockets ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0);
  return {
    generator: 'wrk',
    requestsPerSecond: Number(rate),
    errors: Number(answers) + failed,
  };
}
