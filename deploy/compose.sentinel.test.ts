/** The compose file with Sentinels says the same as `holdfast stack up --sentinel` does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from './local/paths.ts';
import { REDIS_SETTINGS, REPLICATION_SETTINGS } from './local/redis.ts';
import { GROUP_NAME } from './local/redis-group.ts';

const read = (path: string) => readFileSync(join(packageRoot(), 'deploy', path), 'utf8');
const compose = read('compose.sentinel.yaml');

/** All matches of a pattern with one group. */
function all(pattern: RegExp): string[] {
  return [...compose.matchAll(pattern)].map((match) => match[1] ?? '');
}

/** The words of the group's environment. */
function listOf(name: string): string[] {
  return all(new RegExp(`^ +${name}: (.*)$`, 'gm')).flatMap((value) => value.split(' '));
}

describe('deploy/redis/redis.conf', () => {
  it('has the settings of deploy/local, and no others', () => {
    const lines = read('redis/redis.conf').split('\n');
    const settings = lines.filter((line) => line !== '' && !line.startsWith('#'));
    const wanted = [...REDIS_SETTINGS, ...REPLICATION_SETTINGS];
    expect(settings).toEqual(wanted.map(([name, value]) => `${name} ${value || '""'}`));
  });
});

describe('deploy/compose.sentinel.yaml', () => {
  it('gives every data node an address that all know, and starts it through the wrapper', () => {
    const nodes = listOf('HOLDFAST_REDIS_NODES');
    expect(nodes).toHaveLength(3);
    expect(all(/HOLDFAST_REDIS_SELF: "([^"]+)"/g)).toEqual(nodes);
    const ports = all(/"--port", "(\d+)", "--replica-announce-ip"/g);
    expect(ports.map((port) => `127.0.0.1:${port}`)).toEqual(nodes);
    expect(compose).toContain('"/holdfast/start-redis.sh", "/holdfast/redis.conf"');
    expect(compose).not.toContain('redis-server');
  });

  it('has one Sentinel beside each', () => {
    const sentinels = listOf('HOLDFAST_SENTINELS');
    expect(sentinels).toHaveLength(3);
    expect(all(/HOLDFAST_SENTINEL_SELF: "([^"]+)"/g)).toEqual(sentinels);
    const ports = all(/"--port", "(\d+)", "--dir", "\/data"/g);
    expect(ports.map((port) => `127.0.0.1:${port}`)).toEqual(sentinels);
    expect(listOf('HOLDFAST_SENTINEL_MASTER')).toEqual([GROUP_NAME]);
    expect(compose).toContain(`REDIS_URL=redis+sentinel://${sentinels.join(',')}/${GROUP_NAME}`);
  });

  it('mounts its programs read-only, and listens on loopback alone', () => {
    expect(all(/"(\.\/redis:[^"]+)"/g)).toEqual(Array(6).fill('./redis:/holdfast:ro'));
    expect(all(/"--bind", "([^"]+)"/g)).toEqual(Array(6).fill('127.0.0.1'));
    expect(all(/listen_addresses=([\d.]+)/g)).toEqual(['127.0.0.1', '127.0.0.1']);
    expect(all(/port=(\d+)/g)).toEqual(['5432', '5433']);
    expect(compose).toContain('postgresql://holdfast@127.0.0.1:5432,127.0.0.1:5433/holdfast');
  });
});
