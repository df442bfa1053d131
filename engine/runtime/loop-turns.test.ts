import { once } from 'node:events';
import { setImmediate as turnOver } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchTurns } from './loop-turns.ts';

const BURNT_MS = 40;

let clock: { nowMs: number; idleMs: number; cpuMs: number };
let seen: number[];
let stop: () => void;

beforeEach(async () => {
  clock = { nowMs: 0, idleMs: 0, cpuMs: 0 };
  seen = [];
  stop = watchTurns((cpuS) => seen.push(cpuS * 1_000), {
    nowMs: () => clock.nowMs,
    idleMs: () => clock.idleMs,
    cpuMs: () => clock.cpuMs,
  });
  await turnOver();
});

afterEach(() => stop());

/** A turn in which the loop slept, worked, and had no core for the rest. */
async function turn(of: { readonly slept?: number; cpu: number; stolen?: number }): Promise<void> {
  const { slept = 0, cpu, stolen = 0 } = of;
  clock.nowMs += slept + cpu + stolen;
  clock.idleMs += slept;
  clock.cpuMs += cpu;
  await turnOver();
}

it('tells what a turn took of the CPU, however long it had no core', async () => {
  await turn({ cpu: 12, stolen: 300 });
  await turn({ slept: 1_000, cpu: 7 });
  expect(seen).toEqual([12, 7]);
});

it('does not take many short turns for a long one', async () => {
  for (let i = 0; i < 40; i++) await turn({ slept: 5, cpu: 0.25 });
  expect(seen).toEqual([]);
});

it('adds to a turn no more than what was not looked at', async () => {
  await turn({ cpu: 0.75 });
  await turn({ cpu: 12, stolen: 1 });
  expect(seen).toEqual([12.75]);
});

it('ends', async () => {
  stop();
  await turn({ cpu: 5 });
  expect(seen).toEqual([]);
});

describe('of this very thread', () => {
  /** The longest turn that is told while this thread does `work` in one turn, ms. */
  async function told(work: () => void): Promise<number> {
    const turns: number[] = [];
    const end = watchTurns((cpuS) => turns.push(cpuS * 1_000));
    await turnOver();
    work();
    await turnOver();
    end();
    return Math.max(0, ...turns);
  }

  it('tells the CPU that it burns', async () => {
    expect(await told(() => burn(BURNT_MS))).toBeGreaterThan(BURNT_MS / 2);
  });

  it('tells nothing of what another one burns meanwhile', async () => {
    const [IDLE, BURN, BURNT] = [0, 1, 2];
    const state = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(
      `const { parentPort, workerData: state } = require('node:worker_threads');
       ${burn.toString()}
       parentPort.postMessage('ready');
       Atomics.wait(state, 0, ${IDLE});
       burn(${BURNT_MS});
       Atomics.store(state, 0, ${BURNT});
       Atomics.notify(state, 0);`,
      { eval: true, workerData: state },
    );
    try {
      await once(worker, 'message');
      const blocked = await told(() => {
        Atomics.store(state, 0, BURN);
        Atomics.notify(state, 0);
        Atomics.wait(state, 0, BURN);
      });
      expect(Atomics.load(state, 0)).toBe(BURNT);
      expect(blocked).toBeLessThan(BURNT_MS / 2);
    } finally {
      await worker.terminate();
    }
  });
});

/** CPU of the process; nobody else in it works. */
function burn(ms: number): void {
  const before = process.cpuUsage();
  for (let spent = 0; spent < ms * 1_000; ) {
    const { user, system } = process.cpuUsage(before);
    spent = user + system;
  }
}
