import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Story } from '../../engine/testing/auditor/forge.ts';
import { runAudit } from './audit.ts';
import type { World } from './testing/world.ts';
import { KEYS, startWorld } from './testing/world.ts';

const EPOCH = 2 ** 32 + 1;

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

/** How often Redis was asked where the lane stands. */
async function looks(): Promise<number> {
  const [, calls] = /cmdstat_hmget:calls=(\d+)/.exec(await world.redis.info('commandstats')) ?? [];
  return Number(calls ?? 0);
}

it('waits for a lane that lost its tail until recovery has opened it again', async () => {
  const { redis, pool } = world;
  const story = new Story().opened(EPOCH).define('TEA').write();
  story.stock('op-1', [['TEA EU-1', 100]]).write();
  story.reserve('held', [['TEA EU-1', 3]]).write();
  await world.tellRedis(story);
  await world.tellPostgres(story);
  const log = await redis.dumpBuffer(KEYS.log);
  await redis.multi().del(KEYS.log).hset(KEYS.meta, { state: 'closed', seq: 1 }).exec();
  await redis.config('RESETSTAT');
  const auditing = runAudit({ redis, pool });
  // One that does not wait has judged by then.
  await vi.waitFor(async () => expect(await looks()).toBeGreaterThan(8), 30_000);
  const { epoch, seq } = story.last;
  await redis.multi().restore(KEYS.log, 0, log).hset(KEYS.meta, { state: 'open', seq }).exec();
  const report = await auditing;
  expect(report).toMatchObject({ differences: [], lane_state: 'open', position: { epoch, seq } });
});
