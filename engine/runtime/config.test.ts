import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from './config.ts';

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
});
