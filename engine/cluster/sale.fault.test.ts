/**
 * Workers are killed in the middle of a sale: the others go on, each is replaced, every unit is sold
 * once, no commit that was acknowledged is gone, and a retry under the same key is the same sale.
 */
import { afterEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { type ClusterProcess, spawnCluster } from '../testing/cluster-process.ts';
import { callUrl, startTestEngine, type TestAnswer, type TestEngine } from '../testing/engine.ts';
import { expectCommitted } from '../testing/expect-committed.ts';
import { newTally, shop } from '../testing/sale.ts';
import { until } from '../testing/until.ts';

const UNITS = 600;
const SHOPPERS = 24;
const KILLS = 3;
const TEST_MS_MAX = 300_000;

let deployment: TestEngine | undefined;
let cluster: ClusterProcess | undefined;
afterEach(async () => {
  await cluster?.stop();
  await deployment?.close();
}, TEST_MS_MAX);

/** An answer that never came is as undecided as a 503: it is asked again under the same key. */
async function callOrBroken(url: string, ...request: Parameters<TestEngine['call']>) {
  try {
    return await callUrl(url, ...request);
  } catch {
    const broken: TestAnswer = { status: 599, headers: new Headers(), body: { code: 'broken' } };
    return broken;
  }
}

it(
  'workers that are killed in a sale cost no promise',
  async () => {
    const stores = await startTestEngine();
    deployment = stores;
    await stores.stock({ 'HOT@A': UNITS });
    const workers = spawnCluster(2, { ...stores.env, HOLDFAST_QUEUE_WAIT_MS: '60000' });
    cluster = workers;
    const url = await workers.url();
    const throughCluster: TestEngine = {
      ...stores,
      url,
      server: stores.server,
      call: (...request) => callOrBroken(url, ...request),
    };

    const tally = newTally();
    const sale = Array.from({ length: SHOPPERS }, (_, i) => shop(throughCluster, i, tally));
    for (let kill = 1; kill <= KILLS; kill += 1) {
      await until('more is sold', () => tally.committed.size > (kill * UNITS) / (KILLS + 2));
      const place = (kill % 2) + 1;
      const pid = workers.workers.get(place) ?? 0;
      process.kill(pid, 'SIGKILL');
      await workers.logged('a worker ended: signal SIGKILL', kill);
    }
    await Promise.all(sale);

    expect(tally.outcomes.get('broken') ?? 0, 'the kills were felt').toBeGreaterThan(0);
    expect(tally.committed.size).toBe(UNITS);
    await expectCommitted(stores, tally.committed);
    const { body } = await stores.call('GET', '/api/v1/inventory/HOT/availability');
    expect(body.total_available).toBe(0);
    const audit = await runAudit({ redis: stores.redis, pool: stores.serving.engine.pool });
    expect(audit.differences).toEqual([]);
    const starts = await (await fetch(`${url}/metrics`)).text();
    const started = [...starts.matchAll(/^holdfast_worker_starts{worker="\d"} (\d+)$/gm)];
    expect(started.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(2 + KILLS);
  },
  TEST_MS_MAX,
);
