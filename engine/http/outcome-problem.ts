/** The outcome table's rows as HTTP problems. */
import type { OutcomeName } from '../domain/outcome.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import type { AnswerHeaders } from './answer.ts';
import type { ProblemRow } from './problem.ts';

const ROWS: Readonly<Record<OutcomeName, ProblemRow>> = Object.freeze(
  Object.fromEntries(
    (Object.keys(OUTCOMES) as OutcomeName[]).map((code) => {
      const { status, title, retryable } = OUTCOMES[code];
      return [code, Object.freeze({ code, status, title, retryable })];
    }),
  ) as Record<OutcomeName, ProblemRow>,
);

export function outcomeProblem(outcome: OutcomeName): ProblemRow {
  return ROWS[outcome];
}

/** RFC 9110 section 10.2.3 wants whole seconds. */
export function retryAfter(ms: number): AnswerHeaders {
  return { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) };
}
