/** Pages about the API itself: `/problems`, `/problems/{code}`, `/openapi.json`, `/metrics`. */
import type { OutcomeName } from '../../domain/outcome.ts';
import { OUTCOMES } from '../../domain/outcome.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Handler } from '../exchange.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import type { ProblemRow } from '../problem.ts';
import { TRANSPORT_PROBLEMS } from '../problem.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';

export interface ProblemPage extends ProblemRow {
  readonly meaning: string;
}

/** Every problem that the API may answer, in order of precedence. */
export function problemPages(): ProblemPage[] {
  const outcomes = (Object.keys(OUTCOMES) as OutcomeName[])
    .map(outcomeProblem)
    .filter((row) => row.status >= 300);
  return [...outcomes, ...Object.values(TRANSPORT_PROBLEMS)].map((row) => ({
    ...row,
    meaning: (PROBLEM_GUIDE as Readonly<Record<string, string>>)[row.code] ?? '',
  }));
}

/** As text for people, as JSON for who asks for it. */
export function problemPageHandler(): Handler {
  const pages = new Map(problemPages().map((page) => [page.code, page]));
  return (exchange) => {
    const code = exchange.param('code');
    const page = pages.get(code);
    if (page === undefined) {
      const detail = `No problem has the code '${code}'. The codes: ${[...pages.keys()].join(', ')}.`;
      exchange.problem(TRANSPORT_PROBLEMS.route_not_found, { detail });
    } else if (exchange.header('accept')?.includes('json')) {
      exchange.respondJson(200, page);
    } else {
      exchange.respond(200, TEXT_HEADERS, pageText(page));
    }
  };
}

export function problemListHandler(): Handler {
  const problems = problemPages();
  const text = problems.map(pageText).join('\n');
  return (exchange) => {
    if (exchange.header('accept')?.includes('json')) exchange.respondJson(200, { problems });
    else exchange.respond(200, TEXT_HEADERS, text);
  };
}

const TEXT_HEADERS = { 'content-type': 'text/plain; charset=utf-8' } as const;

function pageText({ code, status, title, retryable, meaning }: ProblemPage): string {
  const again = retryable
    ? 'The same request may be sent again and may then succeed.'
    : 'The same request will not succeed however often it is sent.';
  return `${code} (HTTP ${status})\n${title}.\n\n${meaning}\n\n${again}\n`;
}

/** The document is written once, at start; it is what openapi.json holds. */
export function openApiHandler(document: unknown): Handler {
  const body = JSON.stringify(document);
  return (exchange) => exchange.respond(200, { 'content-type': 'application/json' }, body);
}

export function metricsHandler(metrics: Metrics): Handler {
  return async (exchange) => {
    const text = await metrics.render();
    exchange.respond(200, { 'content-type': metrics.contentType }, text);
  };
}
