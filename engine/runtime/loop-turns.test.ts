import { setImmediate as turnOver } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchTurns } from './loop-turns.ts';

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
  expect(seen).toEqual(Array.from({ length: 10 }, () => 0.25));
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

it('reads the CPU of this very thread', async () => {
  const told: number[] = [];
  const end = watchTurns((cpuS) => told.push(cpuS));
  await turnOver();
  const before = process.cpuUsage();
  let spent = 0;
  while (spent < 20_000) {
    const { user, system } = process.cpuUsage(before);
    spent = user + system;
  }
  await turnOver();
  end();
  expect(Math.max(...told)).toBeGreaterThan(0);
});
