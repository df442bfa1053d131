/** The door, with a clock of the test's own: one bound for what a request has waited and what it will. */
import { setImmediate as turnOver } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Line } from '../runtime/line.ts';
import { Admission } from './admission.ts';
import type { AnswerHead } from './answer.ts';
import { Exchange } from './exchange.ts';
import { CROWD_MIN } from './pace.ts';
import { type CompiledRoute, Router } from './router.ts';
import { LOUD_CONTEXT } from './testing/loud-context.ts';

const WAIT_MS = 50;
const HEAD = {
  ...{ method: 'POST', path: '/', query: '', requestId: 'r', params: [], headerValues: [] },
  route: { pattern: '/', paramNames: [], headerNames: [] },
};

const BUY = { isPatient: false };
const PAY = { isPatient: true };

class Asking extends Exchange {
  status: number | undefined;
  readonly #told: (status: number) => void;

  constructor(told: (status: number) => void = () => undefined) {
    super(LOUD_CONTEXT, HEAD);
    this.#told = told;
  }

  leave(): void {
    this.abort();
  }

  protected override write({ status }: AnswerHead): void {
    this.status = status;
    this.#told(status);
  }
}

let nowMs: number;
let traffic: { waiting: number; decided: number };
let admission: Admission;

beforeEach(() => {
  nowMs = 0;
  traffic = { waiting: 0, decided: 0 };
  const line = new Line({ nowMs: () => nowMs, cpuMs: () => nowMs });
  const limits = { requestsMax: 1_000, queueWaitMsMax: WAIT_MS };
  admission = new Admission({ limits, traffic, line, context: LOUD_CONTEXT }, () => ({
    nowMs,
    idleMs: 0,
  }));
});

const isLetIn = (route = BUY): boolean => admission.letsIn(route, nowMs);

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

it('lets in for ten times the bound whoever pays', async () => {
  await crowd();
  traffic.waiting = 4_900;
  expect([isLetIn(), isLetIn(PAY)]).toEqual([false, true]);
  traffic.waiting = 5_000;
  expect([isLetIn(), isLetIn(PAY)]).toEqual([false, false]);
});

it('tells some at once, the others in later turns, in their order', async () => {
  await crowd();
  traffic.waiting = 4_000;
  const asking = Array.from({ length: 200 }, () => new Asking());
  for (const each of asking) if (!isLetIn()) admission.refuse(each);
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

it('handles later what a turn has no time for, if somebody still waits, and at once whoever looks', async () => {
  const handled: string[] = [];
  const routeOf = (pattern: string): CompiledRoute => {
    const handle = (): void => {
      nowMs += 1;
      handled.push(pattern);
    };
    const match = new Router([{ method: 'GET', pattern, handle }]).match('GET', pattern);
    if (match.kind !== 'route') throw new Error(`no route ${pattern}`);
    return match.route;
  };
  const buy = routeOf('/api/v1/buy');
  const asking = Array.from({ length: 12 }, () => new Asking());
  for (const each of asking) admission.take(buy, each);
  expect(handled).toHaveLength(3);
  asking.at(-1)?.leave();
  admission.take(routeOf('/metrics'), new Asking());
  expect(handled.at(-1)).toBe('/metrics');
  while (handled.length < 12) await turnOver();
  await turnOver();
  await turnOver();
  expect(handled).toHaveLength(12);
});

it('refuses nobody of too few connections for a crowd, however long they wait', async () => {
  let handled = 0;
  let refused = 0;
  const match = new Router([
    {
      method: 'POST',
      pattern: '/api/v1/buy',
      handle: (exchange) => {
        nowMs += 0.5;
        handled++;
        exchange.respond(200);
      },
    },
  ]).match('POST', '/api/v1/buy');
  if (match.kind !== 'route') throw new Error('no route');
  const { route } = match;
  const comeBack: (() => void)[] = [];
  const ask = (): void => {
    const asking = new Asking((status) => {
      if (status !== 200) refused++;
      comeBack.push(ask);
    });
    admission.take(route, asking);
  };
  for (let i = 0; i < CROWD_MIN; i++) ask();
  while (handled < 10 * CROWD_MIN) {
    await turnOver();
    for (const again of comeBack.splice(0)) again();
  }
  expect(refused).toBe(0);
});
