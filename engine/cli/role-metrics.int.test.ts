/** The roles that serve no HTTP answer a scrape where a port is set. */
import { expect, it } from 'vitest';
import { waitFor } from '../../deploy/local/deadline.ts';
import { freePort } from '../../deploy/local/ports.ts';
import { migratedDatabase } from '../../persister/testing/database.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { startRedis } from '../testing/servers.ts';
import { startPersist, startRecover } from './roles.ts';

const PATIENCE_MS = 30_000;
const OPENED = [
  'holdfast_lane_open{lane="0"} 1',
  'holdfast_recoveries{lane="0",outcome="opened"} 1',
];

it('recovery shows the lane that it opens, the persister what it did', async () => {
  const [redis, database] = await Promise.all([startRedis(), migratedDatabase()]);
  const options = async () => ({
    log: createLogger('test', 'silent'),
    config: readConfig({
      REDIS_URL: redis.url,
      DATABASE_URL: database.url,
      HOLDFAST_METRICS_PORT: String(await freePort()),
    }),
  });
  const [persistOptions, recoverOptions] = [await options(), await options()];
  const persist = await startPersist(persistOptions);
  const recovery = await startRecover(recoverOptions);
  const scrape = async ({ config }: typeof persistOptions): Promise<string> =>
    (await fetch(`http://127.0.0.1:${config.metricsPort}/metrics`)).text();
  try {
    // A scrape remembers for a moment what another has read: each fact comes in its own time.
    const open = await waitFor(async () => {
      const text = await scrape(recoverOptions);
      return OPENED.every((line) => text.includes(line)) ? text : undefined;
    }, PATIENCE_MS);
    expect(open).toContain('process_cpu_seconds_total');
    const applied = await waitFor(
      async () =>
        /holdfast_persister_count\{what="entries"\} [1-9]/.test(await scrape(persistOptions)) ||
        undefined,
      PATIENCE_MS,
    );
    expect(applied).toBe(true);
  } finally {
    await recovery.close();
    await persist.close();
    await Promise.all([redis.stop(), database.end()]);
  }
});
