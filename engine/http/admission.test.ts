/** The door, with a clock of the test's own: one bound for what a request has waited and what it will. */
import { setImmediate as turnOver } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Admission } from './admission.ts';
import type { AnswerHead } from './answer.ts';
import { Exchange } from './exchange.ts';
import { CROWD_MIN } from './pace.ts';
import { Router } from './router.ts';

const WAIT_MS = 50;
const CONTEXT = {
  problemBaseUrl: '',
  onError: (error: unknown) => {
    throw error;
  },
  onAnswered: () => undefined,
  onAborted: () => undefined,
};
const HEAD = {
  ...{ method: 'POST', path: '/', query: '', requestId: 'r', params: [], headerValues: [] },
  route: { pattern: '/', paramNames: [], headerNames: [] },
};

const handle = (): void => undefined;
const ROUTES = new Router([
  { method: 'POST', pattern: '/api/buy', handle },
  { method: 'POST', pattern: '/api/pay', isPatient: true, handle },
  { method: 'GET', pattern: '/metrics', handle },
]);
const BUY = ROUTES.match('POST', '/api/buy');
const PAY = ROUTES.match('POST', '/api/pay');
const LOOK = ROUTES.match('GET', '/metrics');

class Asking extends Exchange {
  status: number | undefined;

  constructor() {
    super(CONTEXT, HEAD);
  }

  protected override write({ status }: AnswerHead): void {
    this.status = status;
  }
}

let nowMs: number;
let traffic: { waiting: number; decided: number };
let admission: Admission;

beforeEach(() => {
  nowMs = 0;
  traffic = { waiting: 0, decided: 0 };
  const limits = { requestsMax: 1_000, queueWaitMsMax: WAIT_MS };
  admission = new Admission({ limits, traffic, context: CONTEXT }, () => ({ nowMs, idleMs: 0 }));
});

const isLetIn = (match = BUY): boolean => admission.refusalOf(match, 1, nowMs) === undefined;

/** A turn that takes so long, in which so many were decided. */
async function turn(ms: number, decided: number): Promise<void> {
  isLetIn();
  nowMs += ms;
  isLetIn();
  traffic.decided += decided;
  await turnOver();
}

/** A crowd that needs 40 ms: 400 at 10 a millisecond, in turns of 10 ms. */
async function crowd(): Promise<void> {
  traffic.waiting = 400;
  for (let i = 0; i < 40; i++) await turn(10, 100);
}

it('adds what a request waited to be read to what it will wait', async () => {
  await crowd();
  // Read at once: 10 ms of the turn before, and 40. Later it is beyond the bound.
  expect(isLetIn()).toBe(true);
  nowMs += 1;
  expect(isLetIn()).toBe(false);
  // With a crowd that is a quarter smaller 10 ms are left.
  traffic.waiting = 300;
  expect(isLetIn()).toBe(true);
  nowMs += 10;
  expect(isLetIn()).toBe(false);
});

it('lets in what is no crowd', async () => {
  await crowd();
  traffic.waiting = CROWD_MIN - 1;
  nowMs += WAIT_MS;
  expect(isLetIn()).toBe(true);
});

it('lets in for ten times the bound whoever pays, and always whoever looks', async () => {
  await crowd();
  traffic.waiting = 4_900;
  expect([isLetIn(), isLetIn(PAY), isLetIn(LOOK)]).toEqual([false, true, true]);
  traffic.waiting = 5_000;
  expect([isLetIn(), isLetIn(PAY), isLetIn(LOOK)]).toEqual([false, false, true]);
});

it('tells some at once, the others in later turns, in their order', async () => {
  await crowd();
  traffic.waiting = 4_000;
  const asking = Array.from({ length: 200 }, () => new Asking());
  for (const each of asking) admission.refusalOf(BUY, 1, nowMs)?.answer(each);
  const told = (): number => asking.filter(({ status }) => status === 503).length;
  const first = told();
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(asking.length);
  for (let turns = 1; told() < asking.length; turns++) {
    expect(turns).toBeLessThan(asking.length);
    expect(asking.slice(0, told()).every(({ status }) => status === 503)).toBe(true);
    await turnOver();
  }
});
