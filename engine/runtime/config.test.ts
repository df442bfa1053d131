import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig, readStores } from './config.ts';

const STORES = {
  REDIS_URL: 'redis://127.0.0.1:6379',
  DATABASE_URL: 'postgres://127.0.0.1/holdfast',
};

describe('readConfig', () => {
  it('needs the stores and gives the rest a default, frozen', () => {
    const config = readConfig(STORES);
    expect(config).toMatchObject({
      kafkaBrokers: [],
      ttlDefaultS: 600,
      commitDurability: 'logged',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reads brokers, and takes an empty variable for one that is not set', () => {
    const config = readConfig({ ...STORES, KAFKA_BROKERS: 'a:1,b:2', HOLDFAST_PORT: '' });
    expect(config.kafkaBrokers).toEqual(['a:1', 'b:2']);
    expect(config.port).toBe(7070);
  });

  it('takes workers by number, or as many as there are cores', () => {
    const workers = (setting: string) =>
      readConfig({ ...STORES, HOLDFAST_WORKERS: setting }).workers;
    expect([workers(''), workers('3'), workers('64')]).toEqual([1, 3, 64]);
    expect(workers('auto')).toBeGreaterThanOrEqual(1);
    for (const wrong of ['0', '65', '2.5', 'many']) {
      expect(() => workers(wrong)).toThrow(
        /HOLDFAST_WORKERS: wants auto, or a number from 1 to 64/,
      );
    }
  });

  it('takes a PostgreSQL of several hosts, as libpq spells them', () => {
    const url = 'postgresql://me:secret@a:5432,b:5433/holdfast';
    expect(readConfig({ ...STORES, DATABASE_URL: url }).databaseUrl).toBe(url);
    expect(() => readConfig({ ...STORES, DATABASE_URL: 'postgresql://a,,b/holdfast' })).toThrow(
      /DATABASE_URL: wants host or host:port between its commas, not ""/,
    );
  });

  it('takes a Redis group by its Sentinels, and shows no password of it', () => {
    const url = 'redis+sentinel://a:26379,b:26379/sale?password=secret';
    const config = readConfig({ ...STORES, REDIS_URL: url, HOLDFAST_REDIS_REPLICAS: '2' });
    expect(config).toMatchObject({ redisUrl: url, redisReplicas: 2, settingsCheck: 'enforce' });
    const read = () => readConfig({ ...STORES, REDIS_URL: url.replace('/sale', '') });
    expect(read).toThrow(/REDIS_URL: names no master/);
    expect(read).not.toThrow(/secret/);
  });

  it('reports every problem at once, and no password', () => {
    const read = () =>
      readConfig({
        DATABASE_URL: 'http://me:secret@host/db',
        HOLDFAST_PORT: '99999',
        KAFKA_BROKERS: 'a',
      });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/REDIS_URL[\s\S]*DATABASE_URL[\s\S]*KAFKA_BROKERS[\s\S]*HOLDFAST_PORT/);
    expect(read).not.toThrow(/secret/);
  });

  it('tells what is missing from what is wrong, and only then names the stack', () => {
    expect(() => readConfig({ DATABASE_URL: '' })).toThrow(
      /is not complete:[\s\S]*DATABASE_URL: is needed \(it is not set\)[\s\S]*holdfast stack env/,
    );
    const wrong = { ...STORES, HOLDFAST_COMMIT_DURABILITY: 'bad', DATABASE_URL: 'secret@host' };
    expect(() => readConfig(wrong)).toThrow(/is not valid:[\s\S]*\(it is "bad"\)/);
    expect(() => readConfig(wrong)).not.toThrow(/stack env|secret/);
  });

  it('reads the stores alone, whatever else is set', () => {
    const stores = readStores({ ...STORES, KAFKA_BROKERS: 'a:1', HOLDFAST_PORT: 'none' });
    expect(stores).toMatchObject({ kafkaBrokers: ['a:1'], logTopic: 'hf.log' });
    for (const name of ['REDIS_URL', 'DATABASE_URL', 'KAFKA_BROKERS']) {
      expect(() => readStores({ ...STORES, [name]: 'nonsense' })).toThrow(ConfigError);
    }
  });

  it('reads the levels of classes, and says what is wrong with each', () => {
    const read = (classes: string) =>
      readConfig({ ...STORES, HOLDFAST_DURABILITY_CLASSES: classes }).durabilityClasses;
    expect(read('')).toEqual(new Map());
    expect(read('{"hot": {"reserve": "memory"}}')).toEqual(
      new Map([['hot', { reserve: 'memory' }]]),
    );
    expect(() => read('hot')).toThrow(/HOLDFAST_DURABILITY_CLASSES: is not a JSON object/);
    expect(() =>
      read('{"hot": {"reserv": "memory", "commit": "disk"}, "a b": {}, "c": 1}'),
    ).toThrow(
      /"reserv" is none of reserve[\s\S]*commit: "disk" is none of memory, replicated[\s\S]*"a b" is not named[\s\S]*class c names no verbs/,
    );
  });

  it('leaves the level of reserves to what the deployment has, unless it is set', () => {
    expect(readConfig(STORES).reserveDurability).toBeUndefined();
    const set = readConfig({ ...STORES, HOLDFAST_RESERVE_DURABILITY: 'fsync' });
    expect(set.reserveDurability).toBe('fsync');
    expect(() => readConfig({ ...STORES, HOLDFAST_COMMIT_DURABILITY: 'disk' })).toThrow(
      /HOLDFAST_COMMIT_DURABILITY/,
    );
  });
});
