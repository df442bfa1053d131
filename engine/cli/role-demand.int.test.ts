/** A role that brings entries further hears who waits for them, for as long as it runs. */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { migratedDatabase } from '../../persister/testing/database.ts';
import { laneKeys } from '../redis/keys.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { startRedis } from '../testing/servers.ts';
import { startPersist } from './roles.ts';

const SOON = { timeout: 20_000, interval: 20 };

it('the persister listens on the channel of demands, and ends that connection with its own', async () => {
  const [server, database] = await Promise.all([startRedis(), migratedDatabase()]);
  const redis = new Redis(server.url);
  const listeners = async (): Promise<unknown> =>
    (await redis.pubsub('NUMSUB', laneKeys(0).demandChannel))[1];
  try {
    const log = createLogger('test', 'silent');
    const config = readConfig({ REDIS_URL: server.url, DATABASE_URL: database.url });
    const persist = await startPersist({ log, config });
    await expect.poll(listeners, SOON).toBe(1);
    await persist.close();
    await expect.poll(listeners, SOON).toBe(0);
  } finally {
    redis.disconnect();
    await Promise.all([server.stop(), database.end()]);
  }
});
