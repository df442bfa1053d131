/** What handlers read of a request: body, preferred durability, idempotency key. */
import type { DurabilityLevel, LevelLacks } from '../../domain/durability.ts';
import { isId } from '../../domain/ids.ts';
import type { Exchange } from '../exchange.ts';
import { parseJsonBody } from '../json.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import { readPreference } from '../preferences.ts';
import type { ProblemError } from '../problem.ts';
import type { BodyCheck } from '../schema.ts';

/** Headers that the handlers of changes read; their routes must list them. */
export const CHANGE_HEADERS = ['prefer', 'idempotency-key'] as const;

export interface Asked<Body> {
  readonly body: Body;
  /** Undefined: the default of the operation. */
  readonly level: DurabilityLevel | undefined;
  readonly idempotencyKey: string | undefined;
}

/** What of a deployment decides whether a request can be taken. */
export interface Deployment {
  readonly lacks: LevelLacks;
}

/**
 * The request, or undefined when it was not acceptable and the exchange was answered. `scan` may
 * know a usual body from its text; what it does not know is parsed and checked.
 */
export function readRequest<Body>(
  exchange: Exchange,
  check: BodyCheck<Body>,
  deployment: Deployment,
  scan?: (text: string) => Body | undefined,
): Asked<Body> | undefined {
  const body = scan?.(exchange.text ?? '') ?? readBody(exchange, check);
  return body === undefined ? undefined : readTerms(exchange, body, deployment);
}

/** What a request says beside its body, or undefined as above. */
export function readTerms<Body>(
  exchange: Exchange,
  body: Body,
  deployment: Deployment,
): Asked<Body> | undefined {
  const preferred = readLevel(exchange, deployment);
  if (preferred === undefined) return undefined;
  return { body, level: preferred.level, idempotencyKey: exchange.header('idempotency-key') };
}

function readBody<Body>(exchange: Exchange, check: BodyCheck<Body>): Body | undefined {
  const value = parseJsonBody(exchange);
  if (value === undefined) return undefined;
  const checked = check(value);
  if ('body' in checked) return checked.body;
  answerFaults(exchange, checked.faults);
  return undefined;
}

/** The preferred level, or undefined when it cannot be had and the exchange was answered. */
export function readLevel(
  exchange: Exchange,
  { lacks }: Deployment,
): { readonly level: DurabilityLevel | undefined } | undefined {
  const preference = readPreference(exchange.header('prefer'));
  if (preference.kind === 'invalid') {
    exchange.problem(outcomeProblem('invalid_request'), { detail: preference.detail });
    return undefined;
  }
  const lack = preference.level && lacks[preference.level];
  if (lack === undefined) return preference;
  const detail = `This deployment cannot keep it: ${lack}. Nothing was changed.`;
  exchange.problem(outcomeProblem('durability_unavailable'), { detail });
  return undefined;
}

/** An id of the path, or undefined when it was none and the exchange was answered. */
export function readPathId(exchange: Exchange, name: string): string | undefined {
  const id = exchange.param(name);
  if (isId(id)) return id;
  exchange.problem(outcomeProblem('invalid_request'), {
    detail: `The ${name} of the path must be 1 to 64 characters of A-Z a-z 0-9 . _ : -`,
  });
  return undefined;
}

/** `errors` names at most ten faults; there may be more. */
export function answerFaults(exchange: Exchange, errors: readonly ProblemError[]): void {
  const [first] = errors;
  const where = first?.pointer === '' ? 'The body' : first?.pointer;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more, see errors)` : '';
  exchange.problem(outcomeProblem('invalid_request'), {
    detail: `${where} ${first?.message}${more}. Nothing was changed.`,
    errors,
  });
}
