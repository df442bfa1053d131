/** `holdfast lanes` on real servers: all well, closed, and with each store away. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbedded } from '../../reconciler/testing/logs.ts';
import { recoverOnce, recoveryDeps, type TestLog } from '../../reconciler/testing/recovering.ts';
import {
  connectLane,
  KEYS,
  type Stack,
  startStack,
  trade,
} from '../../reconciler/testing/stack.ts';
import { lanesCommand, showLanes } from './lanes.ts';

/** Nothing listens there. */
const NOWHERE = { redis: 'redis://127.0.0.1:1', database: 'postgresql://127.0.0.1:1/none' };

let stack: Stack;
let log: TestLog;
beforeAll(async () => {
  stack = await startStack();
  log = await startEmbedded(stack);
  await recoverOnce(recoveryDeps(stack, log));
  await trade(connectLane(stack.redis), 'first', 8);
  await log.bringToPostgres();
});
afterAll(async () => {
  await log.end();
  await stack.end();
});

async function show(changed: { redisUrl?: string; databaseUrl?: string } = {}, isJson = false) {
  const targets = { redisUrl: stack.server.url, databaseUrl: stack.database.url, ...changed };
  return showLanes({ ...targets, recoveries: 5, json: isJson }, {});
}

describe('holdfast lanes', () => {
  it('shows an open lane, level, and the recovery that opened it', async () => {
    const { exitCode, text } = await show();
    expect(exitCode).toBe(0);
    expect(text).toMatch(/^lane 0 {2}open$/m);
    expect(text).toMatch(/redis +127\.0\.0\.1:\d+ master, replid [0-9a-f]{8}.*epoch 1\.1, seq \d+/);
    expect(text).toMatch(/log +level/);
    expect(text).toMatch(/postgres +level; at epoch 1\.1, seq \d+, under term 1\.1/);
    expect(text).toMatch(/1\.1 {2}opened after \d+ ms; detected 20.*Z: no_meta/);
    expect(text).toMatch(/by test on 127\.0\.0\.1:\d+, replid [0-9a-f]{8}/);
    expect(text).toMatch(
      /term taken \d+, claimed \d+, fenced \d+, drained \d+, lineage known \(nothing\) \d+, emptied \(Redis is empty.*\) \d+, copied back \(everything: 0 rows\) \d+, registered \d+, opened \d+/,
    );
  });

  it('names the migration that an empty database lacks', async () => {
    const databaseUrl = Object.assign(new URL(stack.database.url), { pathname: '/postgres' }).href;
    const { exitCode, text } = await show({ databaseUrl });
    expect(exitCode).toBe(3);
    expect(text).toMatch(
      /postgres +answers, and cannot be read: the database has schema 0, .*run `holdfast migrate`/,
    );
    expect(text).not.toContain('does not answer');
  });

  it('counts what has not reached PostgreSQL, and gives JSON', async () => {
    const lane = connectLane(stack.redis);
    await trade(lane, 'second', 2);
    const { exitCode, text } = await show({}, true);
    expect(exitCode).toBe(0);
    const shown: unknown = JSON.parse(text);
    expect(shown).toMatchObject({
      lanes: [
        {
          lane: 0,
          state: 'open',
          postgres_lag: { entries: expect.any(Number), ms: expect.any(Number) },
          redis: { role: 'master', epoch: '1.1', replicas: [] },
          postgres: { registry: 'open', term: '1.1', position_term: '1.1' },
          sentinels: [],
          recoveries: [{ term: '1.1', cause: 'no_meta', outcome: 'opened', leader: 'test' }],
        },
      ],
    });
    expect(text).not.toContain('"postgres_lag": {\n        "entries": 0');
    await log.bringToPostgres();
  });

  it('exits with 1 for a lane that is closed, and says why', async () => {
    await stack.redis.hset(KEYS.meta, 'state', 'closed');
    const { exitCode, text } = await show();
    await stack.redis.hset(KEYS.meta, 'state', 'open');
    expect(exitCode).toBe(1);
    expect(text).toMatch(/^lane 0 {2}closed: the lane is closed/m);
  });

  it('shows the rest when Redis is away', async () => {
    const { exitCode, text } = await show({ redisUrl: NOWHERE.redis });
    expect(exitCode).toBe(1);
    expect(text).toMatch(/^lane 0 {2}unreachable: .*127\.0\.0\.1:1/m);
    expect(text).toMatch(/registry +open, term 1\.1/);
    expect(text).toMatch(/1\.1 {2}opened/);
  });

  it('shows the rest when PostgreSQL is away: the lane sells on', async () => {
    const { exitCode, text } = await show({ databaseUrl: NOWHERE.database });
    expect(exitCode).toBe(3);
    expect(text).toMatch(/^lane 0 {2}open$/m);
    expect(text).toMatch(/postgres +does not answer: .*127\.0\.0\.1:1/);
  });

  it('refuses a lane that is not there', async () => {
    const parse = lanesCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .parseAsync(['--lane', '7'], { from: 'user' });
    await expect(parse).rejects.toThrow(/whole number from 0 to 0/);
  });
});
