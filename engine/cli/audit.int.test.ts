import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { World } from '../../reconciler/audit/testing/world.ts';
import { startWorld } from '../../reconciler/audit/testing/world.ts';
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
