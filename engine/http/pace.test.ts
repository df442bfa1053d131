import { expect, it } from 'vitest';
import { CROWD_MIN, Pace } from './pace.ts';

const CROWD = 2 * CROWD_MIN;

/** A crowd, of which a turn of `awakeMs` decides `decided`, as many times; the loop sleeps between. */
function pacedBy(turns: number, decided: number, awakeMs: number, sleptMs = 0) {
  const traffic = { waiting: CROWD, decided: 0 };
  const time = { nowMs: 0, idleMs: 0 };
  const pace = new Pace(traffic);
  pace.learn({ ...time });
  const turn = (count: number, ms: number): void => {
    traffic.decided += count;
    time.nowMs += ms + sleptMs;
    time.idleMs += sleptMs;
    pace.learn({ ...time });
  };
  for (let i = 0; i < turns; i++) turn(decided, awakeMs);
  return { pace, traffic, turn };
}

it('expects nothing before it has seen a crowd decided', () => {
  expect(pacedBy(0, 0, 0).pace.expectedMs()).toBe(0);
  expect(pacedBy(10, 0, 20).pace.expectedMs()).toBe(0);
});

it('expects what the crowd needs at its pace', () => {
  const { pace, traffic } = pacedBy(50, 200, 10);
  expect(pace.expectedMs()).toBeCloseTo(CROWD / 20);
  traffic.waiting = 2 * CROWD;
  expect(pace.expectedMs()).toBeCloseTo((2 * CROWD) / 20);
});

it('lets in what is no crowd, however slow the core seems to be', () => {
  const { pace, traffic } = pacedBy(50, 1, 10);
  traffic.waiting = CROWD_MIN - 1;
  expect(pace.expectedMs()).toBe(0);
});

it('does not count the time in which the loop slept: then it is not the process that is slow', () => {
  expect(pacedBy(50, 200, 10, 90).pace.expectedMs()).toBeCloseTo(CROWD / 20);
});

it('counts what nothing was decided in, once something is', () => {
  const { pace, turn } = pacedBy(0, 0, 0);
  turn(0, 30);
  expect(pace.expectedMs()).toBe(0);
  turn(200, 10);
  expect(pace.expectedMs()).toBeCloseTo(CROWD / 5);
});

it('has forgotten a stall within some turns, however long it was', () => {
  const { pace, turn } = pacedBy(50, 200, 10);
  turn(200, 60_000);
  expect(pace.expectedMs()).toBeLessThan(4 * (CROWD / 20));
  for (let i = 0; i < 60; i++) turn(200, 10);
  expect(pace.expectedMs()).toBeLessThan(1.1 * (CROWD / 20));
});

it('learns nothing from a few, who are answered one by one', () => {
  const { pace, traffic, turn } = pacedBy(50, 200, 10);
  traffic.waiting = 1;
  turn(1, 1);
  for (let i = 0; i < 100; i++) turn(1, 10);
  traffic.waiting = CROWD;
  expect(pace.expectedMs()).toBeLessThan(1.5 * (CROWD / 20));
});
