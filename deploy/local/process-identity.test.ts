import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { waitFor } from './deadline.ts';
import {
  identifyProcess,
  identifySelf,
  isRunning,
  isZombie,
  parseLinuxStat,
  signalProcess,
} from './process-identity.ts';

describe('a process identity', () => {
  it('is the same each time, and ours is running', () => {
    expect(identifySelf()).toEqual(identifySelf());
    expect(isRunning(identifySelf())).toBe(true);
  });

  it('is not that of another process with the same pid', async () => {
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
    const identity = identifyProcess(stranger.pid ?? 0);
    if (identity === undefined) throw new Error('sleep did not start');
    const earlier = { ...identity, startedAt: `${identity.startedAt}0` };
    expect(signalProcess(earlier, 'SIGKILL')).toBe(false);
    expect(signalProcess(identity, 'SIGKILL')).toBe(true);
    await once(stranger, 'exit');
    expect(isRunning(identity)).toBe(false);
  });
});

it('a zombie is one whose parent has not heard of its end', async () => {
  // The shell becomes a program that never asks for its children.
  const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(String(line));
  expect(await waitFor(() => isZombie(pid) || undefined, 30_000)).toBe(true);
  expect(identifyProcess(pid)).toBeUndefined();
  expect(isZombie(process.pid)).toBe(false);
  expect(isZombie(0)).toBe(false);
  parent.kill('SIGKILL');
});

describe('parseLinuxStat', () => {
  const rest = 'S 1 42 42 0 -1 4194560 1 0 0 0 3 2 0 0 20 0 1 0 98765 1000 10';

  it.each(['redis-server', 'tmux: server', 'odd) name', '((('])(
    'reads past the name %s',
    (name) => {
      expect(parseLinuxStat(`42 (${name}) ${rest}`)).toEqual({ state: 'S', startTick: '98765' });
    },
  );

  it('gives nothing for a line that ends early', () => {
    expect(parseLinuxStat('42 (sh) S 1')).toBeUndefined();
  });
});
