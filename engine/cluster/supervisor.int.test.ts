/** The supervisor over real processes that are a few lines each; engines: cluster.int.test.ts. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../runtime/log.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import type { Pace } from './heartbeat.ts';
import { ClusterFailed, type Supervisor, startSupervisor } from './supervisor.ts';

/** What every worker here begins with. */
const PRELUDE = `
const { existsSync, writeFileSync } = require('node:fs');
const { number } = JSON.parse(process.env.HOLDFAST_WORKER);
const say = (message, then) => process.send(message, then);
const answer = (then) => say({ kind: 'answering', url: 'http://here', isWhole: true }, then);
const hang = () => process.kill(process.pid, 'SIGSTOP');
const fail = (message, more) => {
  const failure = { message, exitCode: 2, isFinal: true, ...more };
  process.send({ kind: 'failed', failure }, () => process.exit(2));
};
const first = () => {
  const mark = process.env.MARK + number;
  const isFirst = !existsSync(mark);
  writeFileSync(mark, '');
  return isFirst;
};
process.on('message', ({ kind }) => kind === 'beat' && say({ kind: 'alive' }));
process.on('SIGTERM', () => process.exit(0));
`;

let directory = '';
let scripts = 0;
const running: Supervisor[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-supervisor-'));
});
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop().catch(() => undefined);
});
afterAll(() => rm(directory, { recursive: true }));

interface Started {
  readonly supervisor: Supervisor;
  readonly metrics: Metrics;
}

async function start(workers: number, body: string, pace?: Pace): Promise<Started> {
  scripts += 1;
  const script = join(directory, `worker-${scripts}.cjs`);
  await writeFile(script, PRELUDE + body);
  const metrics = createMetrics({ processMetrics: false });
  const supervisor = startSupervisor({
    ...{ workers, script, args: [], isRedisAway: false, metrics },
    env: { MARK: `${script}.` },
    log: createLogger('test', 'silent'),
    ...(pace !== undefined && { pace }),
  });
  running.push(supervisor);
  return { supervisor, metrics };
}

/** The failure with which it ends; fails when it ends otherwise. */
async function failureOf(supervisor: Supervisor): Promise<ClusterFailed> {
  const error = await supervisor.ended.catch((reason: unknown) => reason);
  if (!(error instanceof ClusterFailed)) throw new Error(`it ended with ${String(error)}`);
  await expect(supervisor.ready).rejects.toBe(error);
  return error;
}

describe('a supervisor', () => {
  it('is ready when all answer, and ends when all have drained', async () => {
    const { supervisor } = await start(2, 'answer();');
    expect(await supervisor.ready).toEqual({ url: 'http://here', isWhole: true });
    await supervisor.stop();
    await supervisor.ended;
  });

  it('starts one anew that died before it answered, and says in its numbers that it did', async () => {
    const { supervisor, metrics } = await start(
      2,
      'if (number === 2 && first()) process.exit(3);answer();',
    );
    await supervisor.ready;
    const text = await metrics.render();
    expect(text).toContain('holdfast_worker_starts{worker="1"} 1');
    expect(text).toContain('holdfast_worker_starts{worker="2"} 2');
    expect(text).toContain('holdfast_worker_up{worker="2"} 1');
  });

  it('gives up when none ever answers, and says how the last one ended', async () => {
    const { supervisor } = await start(1, 'process.exit(7);');
    const { message, failure } = await failureOf(supervisor);
    expect(message).toMatch(
      /^No worker comes to answer: 5 in a row have ended, the last with code 7/,
    );
    expect(failure.exitCode).toBe(1);
  }, 60_000);

  it('tells once what no time mends, in the words of the worker, and ends the others', async () => {
    const { supervisor } = await start(
      3,
      'fail("the port is taken", { listenCode: "EADDRINUSE" });',
    );
    const { message, failure } = await failureOf(supervisor);
    expect(message).toBe('the port is taken');
    expect(failure).toMatchObject({ exitCode: 2, listenCode: 'EADDRINUSE' });
  });

  it('hears what a worker said with its last breath', async () => {
    // As much as the channel holds before it, so that its end may come before it is read.
    const { supervisor } = await start(
      1,
      `say({ kind: 'nothing', text: 'x'.repeat(1 << 20) }); fail('the reason');`,
    );
    expect((await failureOf(supervisor)).message).toBe('the reason');
  });

  it('waits for what a worker said, also when it hears of its end first', async () => {
    // The channel outlives the worker: its heir speaks when the worker's end has been collected.
    const heir = `
      const untilEnded = () => {
        try { process.kill(Number(process.env.OF), 0); } catch {
          const failure = { message: 'the reason', exitCode: 2, isFinal: true };
          process.send({ kind: 'failed', failure }, () => process.exit());
          return;
        }
        setTimeout(untilEnded, 5);
      };
      untilEnded();`;
    const { supervisor, metrics } = await start(
      1,
      `const env = { ...process.env, OF: String(process.pid), NODE_CHANNEL_FD: '3',
         NODE_CHANNEL_SERIALIZATION_MODE: 'advanced' };
       delete env.NODE_UNIQUE_ID;
       const stdio = ['ignore', 'ignore', 'ignore', 3];
       const { spawn } = require('node:child_process');
       spawn(process.execPath, ['-e', ${JSON.stringify(heir)}], { env, stdio });
       process.exit(2);`,
    );
    expect((await failureOf(supervisor)).message).toBe('the reason');
    expect(await metrics.render()).toContain('holdfast_worker_starts{worker="1"} 1');
  });

  it('kills a worker that hangs, and starts another one there', async () => {
    const { supervisor, metrics } = await start(
      2,
      `if (number === 2 && first()) answer(hang); else answer();`,
      { everyMs: 100, missedMax: 20 },
    );
    await supervisor.ready;
    await until(metrics, 'holdfast_worker_hangs{worker="2"} 1');
    await until(metrics, 'holdfast_worker_starts{worker="2"} 2');
    await until(metrics, 'holdfast_worker_up{worker="2"} 1');
  });

  it('ends when it is stopped while a worker hangs', async () => {
    const pace = { everyMs: 100, missedMax: 20 };
    const { supervisor, metrics } = await start(1, 'answer(hang);', pace);
    await supervisor.ready;
    await supervisor.stop();
    expect(await metrics.render()).toContain('holdfast_worker_hangs{worker="1"} 1');
  });

  it('takes nobody down who sells for one that cannot', async () => {
    const { supervisor, metrics } = await start(
      2,
      `const isTold = number === 2 && first();
       process.on('message', ({ kind }) => isTold && kind === 'end' && fail('no'));
       if (!isTold) answer();`,
    );
    await until(metrics, 'holdfast_worker_up{worker="1"} 1');
    for (const worker of await workersNow()) worker.send({ kind: 'end' });
    await supervisor.ready;
    expect(await metrics.render()).toContain('holdfast_worker_starts{worker="2"} 2');
    expect(await metrics.render()).toContain('holdfast_worker_starts{worker="1"} 1');
    // Of two that are settled the first one wins.
    expect(await Promise.race([supervisor.ended, Promise.resolve('it goes on')])).toBe(
      'it goes on',
    );
  });

  it('can be stopped while a place waits for its next worker', async () => {
    const { supervisor } = await start(2, 'if (number === 1) process.exit(3); answer();');
    await supervisor.stop();
    await expect(supervisor.ended).resolves.toBeUndefined();
  });

  it('waits for a worker that takes long to drain', async () => {
    const { supervisor } = await start(
      1,
      `process.removeAllListeners('SIGTERM');
       process.on('SIGTERM', () => say({ kind: 'draining' }));
       process.on('message', (message) => message === 'end' && process.exit(0));
       answer();`,
    );
    await supervisor.ready;
    let isOver = false;
    const stopped = supervisor.stop().then(() => {
      isOver = true;
    });
    const [worker] = await workersThatDrain();
    expect(isOver).toBe(false);
    // A second stop says the same; it kills nobody.
    void supervisor.stop();
    worker?.send('end');
    await stopped;
  });
});

/** Resolves when the supervisor's numbers have the line. */
async function until(metrics: Metrics, line: string): Promise<void> {
  while (!(await metrics.render()).includes(line)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function workersNow() {
  const { default: cluster } = await import('node:cluster');
  return Object.values(cluster.workers ?? {}).filter((each) => each !== undefined);
}

/** Resolves when one says that it drains. */
async function workersThatDrain() {
  const workers = await workersNow();
  await Promise.all(
    workers.map(
      (each) =>
        new Promise<void>((resolve) => {
          each.on('message', (message: { kind?: string }) => {
            if (message.kind === 'draining') resolve();
          });
        }),
    ),
  );
  return workers;
}
