/** What the API tests share: short names for calls, and waiting for what the system does by itself. */
import { expect } from 'vitest';
import type { OutcomeName } from '../../domain/outcome.ts';
import { OUTCOMES } from '../../domain/outcome.ts';
import type { TestAnswer, TestEngine } from '../../testing/engine.ts';
import { compileBody } from '../schema.ts';
import { problemAnswer, reservationAnswer } from '../schema-answers.ts';

type Headers = Readonly<Record<string, string>>;

const isProblem = compileBody(problemAnswer);
const isReservation = compileBody(reservationAnswer);

export interface Api {
  reserve(body: unknown, headers?: Headers): Promise<TestAnswer>;
  commit(body: unknown, headers?: Headers): Promise<TestAnswer>;
  release(body: unknown, headers?: Headers): Promise<TestAnswer>;
  cancel(body: unknown, headers?: Headers): Promise<TestAnswer>;
  ship(body: unknown, headers?: Headers): Promise<TestAnswer>;
  extend(body: unknown, headers?: Headers): Promise<TestAnswer>;
  look(id: string, headers?: Headers): Promise<TestAnswer>;
  available(sku: string): Promise<TestAnswer>;
  receive(body: unknown, headers?: Headers): Promise<TestAnswer>;
  adjust(body: unknown, headers?: Headers): Promise<TestAnswer>;
}

export function apiOf({ call }: Pick<TestEngine, 'call'>): Api {
  const to = (path: string) => (body: unknown, headers?: Headers) =>
    call('POST', `/api/v1/${path}`, body, headers);
  return {
    reserve: to('inventory/reserve'),
    commit: to('inventory/commit'),
    release: to('inventory/release'),
    cancel: to('inventory/cancel'),
    ship: to('inventory/ship'),
    extend: to('inventory/extend'),
    receive: to('stock/receive'),
    adjust: to('stock/adjust'),
    look: (id, headers) => call('GET', `/api/v1/inventory/reservations/${id}`, undefined, headers),
    available: (sku) => call('GET', `/api/v1/inventory/${sku}/availability`),
  };
}

/** A problem with the status and code of the outcome's row, in its described form. */
export function expectProblem(answer: TestAnswer, outcome: OutcomeName): TestAnswer['body'] {
  const { status, title, retryable } = OUTCOMES[outcome];
  expect(answer.body).toMatchObject({ code: outcome, status, title, retryable });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body.type).toBe(`/problems/${outcome}`);
  expect(isProblem(answer.body as never)).toHaveProperty('body');
  if (status === 503) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  return answer.body;
}

/** A reservation in its described form. */
export function expectReservation(answer: TestAnswer, status: number): ReservationBody {
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status });
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(isReservation(answer.body as never)).toHaveProperty('body');
  return answer.body as unknown as ReservationBody;
}

export interface ReservationBody {
  readonly reservation_id: string;
  readonly status: string;
  readonly epoch: number;
  readonly durability: string;
  readonly version?: number;
  readonly expires_at?: string;
  readonly ttl_seconds?: number;
  readonly lines: readonly {
    readonly line: number;
    readonly sku_id: string;
    readonly requested: number;
    readonly reserved?: number;
    readonly allocated?: number;
    readonly missing?: number;
    readonly placements: readonly { readonly warehouse_id: string; readonly quantity: number }[];
  }[];
}

const DEADLINE_MS = 20_000;

/** Asks until `isDone` likes the answer; the last answer when it never does. */
export async function until(
  ask: () => Promise<TestAnswer>,
  isDone: (answer: TestAnswer) => boolean,
): Promise<TestAnswer> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const answer = await ask();
    if (isDone(answer) || performance.now() > deadline) return answer;
  }
}
