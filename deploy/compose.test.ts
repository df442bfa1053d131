import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BROKER_SETTINGS } from './local/kafka.ts';
import { packageRoot } from './local/paths.ts';
import { POSTGRES_DATABASE, POSTGRES_USER } from './local/postgres.ts';
import { REDIS_SETTINGS } from './local/redis.ts';

const compose = readFileSync(join(packageRoot(), 'deploy/compose.yaml'), 'utf8');
/** Quotes are YAML's own: "0" and 0 are the same argument. */
const lines = compose.split('\n').map((line) => line.replaceAll('"', '').trim());

describe('deploy/compose.yaml', () => {
  it.each(REDIS_SETTINGS)('runs Redis with %s %s, as deploy/local does', (name, value) => {
    const at = lines.indexOf(`- --${name}`);
    expect(at).toBeGreaterThan(-1);
    expect(lines[at + 1]).toBe(`- ${value}`.trim());
  });

  it.each(BROKER_SETTINGS)('runs Kafka with %s, as deploy/local does', (setting) => {
    const [name = '', value = ''] = setting.split('=');
    expect(lines).toContain(`KAFKA_${name.replaceAll('.', '_').toUpperCase()}: ${value}`);
  });

  it('has the database and the user of deploy/local', () => {
    expect(lines).toContain(`POSTGRES_DB: ${POSTGRES_DATABASE}`);
    expect(lines).toContain(`POSTGRES_USER: ${POSTGRES_USER}`);
  });

  it('binds every port to loopback alone', () => {
    const ports = lines.filter((line) => /^- [\d.:]+$/.test(line) && line.includes(':'));
    expect(ports).toHaveLength(3);
    expect(ports.filter((port) => !port.startsWith('- 127.0.0.1:'))).toEqual([]);
  });
});
