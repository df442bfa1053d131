import { describe, expect, it } from 'vitest';
import type { ServerStatus } from '../../deploy/local/stack-status.ts';
import { environmentLines, isUp, stackCommand, statusLine } from './stack.ts';
import { progressLine } from './stack-progress.ts';

function storeOf(name: ServerStatus['name']): ServerStatus['store'] {
  if (name === 'kafka') return 'kafka';
  return name.startsWith('postgres') ? 'postgres' : 'redis';
}

function statusOf(name: ServerStatus['name'], state: ServerStatus['state']): ServerStatus {
  const isThere = state !== 'stopped';
  return {
    name,
    store: storeOf(name),
    variable: 'REDIS_URL',
    state,
    address: isThere ? 'redis://127.0.0.1:20001/0' : undefined,
    pid: state === 'running' || state === 'leftover' ? 42 : undefined,
    ownerPid: undefined,
    directory: '.stack/redis',
  };
}

describe('environmentLines', () => {
  it('quotes for the shell, and names Kafka also when there is none', () => {
    expect(environmentLines({ REDIS_URL: 'redis://h/0', DATABASE_URL: "p://u:it's@h/d" })).toBe(
      [
        "export REDIS_URL='redis://h/0'",
        "export DATABASE_URL='p://u:it'\\''s@h/d'",
        "export KAFKA_BROKERS=''",
      ].join('\n'),
    );
  });
});

describe('isUp', () => {
  it.each([
    { redis: 'running', kafka: 'running', up: true },
    { redis: 'environment', kafka: 'stopped', up: true },
    { redis: 'leftover', kafka: 'running', up: false },
    { redis: 'stopped', kafka: 'running', up: false },
  ] as const)('Redis $redis, Kafka $kafka: $up', ({ redis, kafka, up }) => {
    const servers = [statusOf('redis', redis), statusOf('postgres', 'running')];
    expect(isUp([...servers, statusOf('kafka', kafka)])).toBe(up);
  });
});

describe('isUp with a group', () => {
  const group = (down: number): ServerStatus[] =>
    [1, 2, 3].flatMap((n) => {
      const state = n <= down ? 'stopped' : 'running';
      return [statusOf(`redis-${n}`, state), statusOf(`sentinel-${n}`, state)];
    });
  const pair = [statusOf('postgres', 'stopped'), statusOf('postgres-2', 'running')];

  it.each([
    { down: 0, up: true },
    { down: 1, up: true },
    { down: 2, up: false },
  ])('$down of three nodes down: $up', ({ down, up }) => {
    expect(isUp([...group(down), ...pair])).toBe(up);
  });
});

describe('statusLine', () => {
  it('says what runs and whose it is', () => {
    const running = statusOf('redis', 'running');
    expect(statusLine(running)).toBe('redis      running      redis://127.0.0.1:20001/0 (pid 42)');
    expect(statusLine(statusOf('redis-2', 'running'), 'replica')).toBe(
      'redis-2    running      redis://127.0.0.1:20001/0 (replica, pid 42)',
    );
    expect(statusLine({ ...running, ownerPid: 7 })).toMatch(/stopped by process 7 when it ends\)$/);
    expect(statusLine(statusOf('redis', 'leftover'))).toMatch(/its starter is gone\)$/);
    expect(statusLine(statusOf('kafka', 'stopped'))).toBe('kafka      stopped');
  });
});

describe('progressLine', () => {
  it('is one line for what a log file is to keep', () => {
    expect(progressLine({ step: 'redis', state: 'done', detail: 'redis://h/0' })).toBe(
      'Redis: redis://h/0',
    );
    expect(
      progressLine({ step: 'kafka', state: 'detail', detail: 'downloaded a.jar (1 MB)' }),
    ).toBeUndefined();
  });
});

describe('stackCommand', () => {
  it('offers up, down, status and env', () => {
    expect(stackCommand().commands.map((command) => command.name())).toEqual([
      'up',
      'down',
      'status',
      'env',
    ]);
  });
});
