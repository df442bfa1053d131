/** The line, with clocks of the test's own: each piece of work takes so long, the loop nothing. */
import { setImmediate as turnOver } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Line } from './line.ts';

let nowMs: number;
let stolenMs: number;
let line: Line;
let done: string[];

beforeEach(() => {
  nowMs = 0;
  stolenMs = 0;
  done = [];
  line = new Line({ nowMs: () => nowMs + stolenMs, cpuMs: () => nowMs });
});

/** `bring`: what it runs itself, as an answer brings the next request. */
const ask = (name: string, ms: number, bring?: () => void): void =>
  line.run(() => {
    nowMs += ms;
    done.push(name);
    bring?.();
  });

const askMany = (count: number, ms: number): void => {
  for (let i = 0; i < count; i++) ask(String(i), ms);
};

it('does at once what a turn has time for, and leaves the rest for later ones, in order', async () => {
  askMany(100, 0.5);
  const first = done.length;
  expect(first).toBe(6);
  expect(line.length).toBe(94);
  let most = 0;
  for (let turns = 0; line.length > 0; turns++) {
    const before = done.length;
    await turnOver();
    most = Math.max(most, done.length - before);
    expect(turns).toBeLessThan(100);
  }
  // The first turn was over already, so its end has a short slice; the next ones have a whole one.
  expect(most).toBe(6);
  expect(done).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
});

it('lets nobody pass by who waits, however much time the turn has', async () => {
  ask('long', 50);
  ask('waits', 0);
  nowMs = 0;
  ask('comes later', 0);
  expect(done).toEqual(['long']);
  await turnOver();
  expect(done).toEqual(['long', 'waits', 'comes later']);
});

it('has all its time again in the next turn', async () => {
  ask('long', 50);
  ask('waits', 0);
  await turnOver();
  ask('at once', 0);
  expect(done).toEqual(['long', 'waits', 'at once']);
});

it('serves some in each turn, though reading alone took longer than a turn may', async () => {
  askMany(40, 0.5);
  while (line.length > 0) {
    // What is read meanwhile.
    nowMs += 30;
    const before = line.length;
    await turnOver();
    expect(line.length).toBeLessThan(before);
  }
});

it('puts behind the others what those bring who are served', async () => {
  ask('long', 50);
  ask('brings', 0, () => ask('brought', 0));
  ask('waited', 0);
  while (line.length > 0) await turnOver();
  expect(done).toEqual(['long', 'brings', 'waited', 'brought']);
});

it('tells when all are served who waited', async () => {
  ask('long', 50);
  ask('waited', 0);
  line.behind(() => done.push('told'));
  ask('came later', 0);
  while (line.length > 0) await turnOver();
  line.behind(() => done.push('told at once'));
  expect(done).toEqual(['long', 'waited', 'told', 'came later', 'told at once']);
});

it('cuts no turn short for having lost its core', () => {
  ask('first', 2);
  stolenMs = 100;
  ask('second', 0.5);
  stolenMs = 200;
  ask('third', 1);
  ask('waits', 1);
  expect(done).toEqual(['first', 'second', 'third']);
});
