/** The supervisor over real processes that are a few lines each; engines: cluster.int.test.ts. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../runtime/log.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { ClusterFailed, type Supervisor, startSupervisor } from './supervisor.ts';

/** What every worker here begins with. */
const PRELUDE = `
const { existsSync, writeFileSync } = require('node:fs');
const { number } = JSON.parse(process.env.HOLDFAST_WORKER);
const say = (message) => process.send(message);
const answer = () => say({ kind: 'answering', url: 'http://here', isWhole: true });
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
process.on('message', () => undefined);
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

async function start(workers: number, body: string): Promise<Started> {
  scripts += 1;
  const script = join(directory, `worker-${scripts}.cjs`);
  await writeFile(script, PRELUDE + body);
  const metrics = createMetrics({ processMetrics: false });
  const supervisor = startSupervisor({
    ...{ workers, script, args: [], isRedisAway: false, metrics },
    env: { MARK: `${script}.` },
    log: createLogger('test', 'silent'),
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

  it('takes nobody down who sells for one that cannot', async () => {
    const { supervisor } = await start(
      2,
      'if (number === 1 || !first()) answer(); else setTimeout(() => fail("no"), 200);',
    );
    await supervisor.ready;
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
       process.on('message', () => process.exit(0));
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

/** Resolves when one says that it drains. */
async function workersThatDrain() {
  const { default: cluster } = await import('node:cluster');
  const workers = Object.values(cluster.workers ?? {}).filter((each) => each !== undefined);
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
