import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { World } from '../../reconciler/audit/testing/world.ts';
import { KEYS, startWorld } from '../../reconciler/audit/testing/world.ts';
import { Story } from '../testing/auditor/forge.ts';
import { auditCommand, auditTargets, findTargets } from './audit.ts';

const EMBEDDED = { kafkaBrokers: [] };

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

describe('holdfast audit', () => {
  it('names its stores by option, then by variable', () => {
    const env = {
      REDIS_URL: 'redis://env',
      DATABASE_URL: 'postgres://env',
      KAFKA_BROKERS: 'a:1,b:2',
    };
    expect(findTargets({ redisUrl: 'redis://option' }, env)).toEqual({
      redisUrl: 'redis://option',
      databaseUrl: 'postgres://env',
      kafkaBrokers: ['a:1', 'b:2'],
      logTopic: 'hf.log',
    });
  });

  it('refuses an address that is none before it connects to anything', () => {
    const env = { REDIS_URL: 'redis://env', DATABASE_URL: 'nonsense' };
    expect(() => findTargets({}, env)).toThrow(/DATABASE_URL: wants postgresql:/);
    expect(() => findTargets({ databaseUrl: 'postgres://a', redisUrl: 'x' }, env)).toThrow(
      /REDIS_URL: wants redis:/,
    );
  });

  it('names the migration that an empty database lacks', async () => {
    const databaseUrl = Object.assign(new URL(world.databaseUrl), { pathname: '/postgres' }).href;
    const { redisUrl } = world;
    await expect(auditTargets({ redisUrl, databaseUrl, ...EMBEDDED })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/has schema 0.*run `holdfast migrate`/),
    });
  });

  it('reports what it compared', async () => {
    const story = new Story()
      .opened(1)
      .define('TEA')
      .stock('op', [['TEA EU-1', 9]])
      .write();
    await world.tellRedis(story);
    await world.tellPostgres(story);
    const { redisUrl, databaseUrl } = world;
    const report = await auditTargets({ redisUrl, databaseUrl, ...EMBEDDED });
    expect(report).toMatchObject({ ok: true, compared: { cells: 1, movements: 1 } });
  });

  it('names a key of another type, and compares the rest', async () => {
    const { redisUrl, databaseUrl } = world;
    const [stock, due] = [KEYS.stock('OTHER'), KEYS.due(1)];
    await world.redis.mset(stock, 'x', due, 'x');
    await world.redis.zadd(KEYS.deadlines, 1, '1');
    const report = await auditTargets({ redisUrl, databaseUrl, ...EMBEDDED });
    expect(report.differences.map(({ where, explanation }) => `${where}: ${explanation}`)).toEqual([
      expect.stringMatching(/^key hf:\{0\}:stock:OTHER: Redis holds a key there that is no hash/),
      expect.stringMatching(/^lane 0: Redis cannot be compared, the key hf:\{0\}:due:1 holds/),
    ]);
    await world.redis.del(stock, due);
    await world.redis.zrem(KEYS.deadlines, '1');
  });

  it('says which store does not answer', async () => {
    const targets = { redisUrl: 'redis://127.0.0.1:1', databaseUrl: world.databaseUrl };
    await expect(auditTargets({ ...targets, ...EMBEDDED })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('127.0.0.1:1'),
    });
  });

  it('explains itself', () => {
    let help = '';
    auditCommand()
      .configureOutput({ writeOut: (text) => (help += text) })
      .outputHelp();
    expect(help).toContain('Exit codes:');
    expect(help).toContain('$ holdfast audit --json');
  });
});
