/**
 * A Redis group loses its primary in the middle of a sale. The lane closes by itself, is recovered on
 * the node that was promoted and opens at a new epoch; engine, relay, persister and recovery follow
 * without a restart. In the end no commit that was acknowledged is gone, nothing is oversold, and the
 * independent audit finds no difference.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { laneKeys } from '../redis/keys.ts';
import { startTestEngine, type TestEngine } from './engine.ts';
import { expectCommitted } from './expect-committed.ts';
import {
  hasGroups,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from './redis-group.ts';
import { newTally, shop } from './sale.ts';
import { until } from './until.ts';

const UNITS = 400;
const SHOPPERS = 16;
const TEST_MS_MAX = 300_000;
const KEYS = laneKeys(0);
const isLong = process.env.HOLDFAST_TEST_LONG === '1';

let group: TestRedisGroup | undefined;
let engine: TestEngine | undefined;
afterEach(async () => {
  await engine?.close();
  await group?.stop();
  engine = undefined;
  group = undefined;
}, TEST_MS_MAX);

/** Both faults over both logs take minutes; one each is enough to see that all parts follow. */
const QUICK: Readonly<Record<string, string>> = { embedded: 'killed', kafka: 'hung' };

const FAULTS: Record<string, (primary: TestRedisNode) => Promise<void>> = {
  killed: (primary) => primary.kill(),
  hung: async (primary) => primary.pause(),
};

describe.runIf(hasGroups()).each(['embedded', 'kafka'] as const)(
  'a sale with the %s log goes on when the primary of its group is',
  (log) => {
    it.each(Object.keys(FAULTS).filter((fault) => isLong || fault === QUICK[log]))(
      '%s',
      async (fault) => {
        group = await startRedisGroup();
        const t = await startTestEngine({ log, redisUrl: group.url });
        engine = t;
        await t.stock({ 'HOT@A': UNITS });
        const epoch = async () => Number((await t.redis.hget(KEYS.meta, 'epoch')) ?? 0);
        const before = await epoch();
        const primary = await group.primary();
        const tally = newTally();
        const sale = Array.from({ length: SHOPPERS }, (_, i) => shop(t, i, tally));
        await until('the sale is under way', () => tally.committed.size > 60);
        await FAULTS[fault]?.(primary);
        await Promise.all(sale);

        expect((await group.primary()).index).not.toBe(primary.index);
        expect(await epoch(), 'the lane opened at a new epoch').toBeGreaterThan(before);
        expect(tally.undecided, 'nobody noticed').toBeGreaterThan(0);
        expect(tally.committed.size).toBeLessThanOrEqual(UNITS);
        // The old primary comes back, as a replica, and changes nothing.
        if (fault === 'hung') primary.resume();
        else await primary.restart();
        await group.settled();
        await expectCommitted(t, tally.committed);
        const audit = await runAudit({ redis: t.redis, pool: t.serving.engine.pool });
        expect(audit.differences).toEqual([]);
      },
      TEST_MS_MAX,
    );
  },
);
