/**
 * The same closed loop from generators that others wrote: a second opinion on ours. autocannon comes
 * with the packages; wrk (a Debian package) takes part where it is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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
  /** Answers that were not 2xx or 3xx, and connections that failed. */
  readonly errors: number;
}

const GRACE_MS = 30_000;

const HEADERS = { 'content-type': 'application/json' };

export async function crossCheck(plan: CheckPlan): Promise<readonly CheckResult[]> {
  const hasWrk = spawnSync('wrk', ['--version']).error === undefined;
  // wrk takes whole seconds only.
  const whole = { ...plan, seconds: Math.ceil(plan.seconds) };
  const first = await runAutocannon(whole);
  return hasWrk ? [first, await runWrk(whole)] : [first];
}

async function runAutocannon(plan: CheckPlan): Promise<CheckResult> {
  const { url, path, method, body, connections, seconds } = plan;
  // Here, because every process of ours would load it with the list of commands.
  const { default: autocannon } = await import('autocannon');
  const result = await autocannon({
    url: url + path,
    method,
    headers: HEADERS,
    ...(body !== undefined && { body }),
    connections,
    duration: seconds,
  });
  return {
    generator: 'autocannon',
    requestsPerSecond: result.requests.total / result.duration,
    errors: result.errors + result.non2xx,
  };
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

function run({ url, path, connections, seconds }: CheckPlan, script: string): Promise<string> {
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
