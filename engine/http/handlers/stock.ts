/** `POST /api/v1/stock/receive` and `POST /api/v1/stock/adjust`. */
import { asSku, SHARED_POOL, splitCellField } from '../../domain/ids.ts';
import type { OutcomeName } from '../../domain/outcome.ts';
import type { StockKind } from '../../events/entry.ts';
import { isIdempotencyKey, KEY_FAULT } from '../../reservations/identity.ts';
import { type LevelPolicy, usualLevel } from '../../reservations/levels.ts';
import type { MovementAnswer, MovementDeps, MovementLine } from '../../stock/movement.ts';
import { moveStock } from '../../stock/movement.ts';
import type { AnswerHeaders } from '../answer.ts';
import type { Exchange, Handler } from '../exchange.ts';
import type { JsonValue } from '../json.ts';
import { outcomeProblem, retryAfter } from '../outcome-problem.ts';
import { appliedPreference } from '../preferences.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import type { BodyCheck } from '../schema.ts';
import { compileBody } from '../schema.ts';
import { adjustRequest, receiveRequest } from '../schema-stock.ts';
import { orUnavailable } from './catalogue.ts';
import type { Movement, MovementBody } from './movement-body.ts';
import { readMovement } from './movement-body.ts';
import { answerFaults, readRequest } from './request.ts';

export interface StockHandlerDeps extends MovementDeps {
  readonly policy: LevelPolicy;
  /** ISO 4217: of a unit_cost that comes without its currency. */
  readonly currency: string;
  readonly countOutcome: (operation: string, outcome: OutcomeName) => void;
}

const RETRY_AFTER_MS = 1_000;

export function stockHandler(kind: StockKind, deps: StockHandlerDeps): Handler {
  const schemas = kind === 'receive' ? receiveRequest : adjustRequest;
  const checkSingle = compileBody(schemas.single);
  const checkSeveral = compileBody(schemas.several);
  const check: BodyCheck<MovementBody> = (value) =>
    hasLines(value) ? checkSeveral(value) : checkSingle(value);
  return async (exchange) => {
    const request = readRequest(exchange, check, deps.policy);
    if (request === undefined) return;
    const { idempotencyKey, level } = request;
    if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey)) {
      exchange.problem(outcomeProblem('invalid_request'), { detail: KEY_FAULT });
      return;
    }
    const read = readMovement(request.body, deps.currency);
    if ('faults' in read) {
      answerFaults(exchange, read.faults);
      return;
    }
    const skus = read.lines.map((line) => ({ sku: asSku(line.sku) }));
    const wanted = level ?? usualLevel('stock', skus, deps.policy);
    const movement = { ...read, kind, idempotencyKey, level: wanted };
    const answer = await orUnavailable(exchange, () => moveStock(movement, deps));
    if (answer === undefined) return;
    deps.countOutcome(kind, outcomeOf(answer));
    presentMovement(exchange, answer, { ...read, isLevelPreferred: level !== undefined });
  };
}

function hasLines(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && 'lines' in value;
}

function outcomeOf(answer: MovementAnswer): OutcomeName {
  switch (answer.kind) {
    case 'applied':
      return 'applied';
    case 'rejected':
      return answer.outcome;
    case 'refused':
      return answer.refusal.outcome;
    case 'level_missed':
      return 'durability_unknown';
  }
}

interface Asked extends Movement {
  readonly isLevelPreferred: boolean;
}

function presentMovement(exchange: Exchange, answer: MovementAnswer, asked: Asked): void {
  const extensions = { operation_id: answer.id };
  switch (answer.kind) {
    case 'applied':
      presentApplied(exchange, answer, asked.isLevelPreferred);
      break;
    case 'rejected':
      presentRejected(exchange, answer, asked);
      break;
    case 'refused': {
      const { outcome, detail, retryAfterMs } = answer.refusal;
      exchange.problem(outcomeProblem(outcome), { detail, extensions }, retryAfter(retryAfterMs));
      break;
    }
    case 'level_missed': {
      const detail =
        `It was applied, but not seen to be ${answer.level} in time. Sent again with the same ` +
        'Idempotency-Key it is not applied twice; without a key it would be.';
      const headers = retryAfter(RETRY_AFTER_MS);
      exchange.problem(outcomeProblem('durability_unknown'), { detail, extensions }, headers);
    }
  }
}

function presentApplied(
  exchange: Exchange,
  answer: Extract<MovementAnswer, { kind: 'applied' }>,
  isLevelPreferred: boolean,
): void {
  const headers: AnswerHeaders = {
    ...(answer.replayed ? { 'idempotent-replayed': 'true' } : {}),
    ...(isLevelPreferred ? { 'preference-applied': appliedPreference(answer.level) } : {}),
  };
  const body = {
    operation_id: answer.id,
    replayed: answer.replayed,
    durability: answer.level,
    ...(answer.movementIds === undefined ? {} : { movement_ids: answer.movementIds }),
    cells: answer.cells.map((cell) => {
      const { warehouse, pool } = splitCellField(cell.field);
      return {
        sku_id: cell.sku,
        warehouse_id: warehouse,
        ...(pool === SHARED_POOL ? {} : { pool }),
        available_qty: cell.available,
        reserved_qty: cell.reserved,
        allocated_qty: cell.allocated,
        version: cell.version,
      };
    }),
  };
  exchange.respondJson(200, body, headers);
}

const FIELD_AT_FAULT: Partial<Record<OutcomeName, string>> = {
  unknown_sku: 'sku_id',
  unknown_warehouse: 'warehouse_id',
  insufficient: 'quantity',
  out_of_range: 'quantity',
};

function presentRejected(
  exchange: Exchange,
  answer: Extract<MovementAnswer, { kind: 'rejected' }>,
  movement: Movement,
): void {
  const field = FIELD_AT_FAULT[answer.outcome];
  const errors = answer.shortages.flatMap(({ line, available }) => {
    const asked = movement.lines[line];
    if (asked === undefined || field === undefined) return [];
    const pointer = `${movement.pointerOf(line)}/${field}`;
    return [{ pointer, message: faultOf(answer.outcome, asked, available) }];
  });
  exchange.problem(outcomeProblem(answer.outcome), {
    detail: PROBLEM_GUIDE[answer.outcome],
    ...(errors.length === 0 ? {} : { errors }),
    extensions: { operation_id: answer.id },
  });
}

function faultOf(outcome: OutcomeName, line: MovementLine, available: number): string {
  switch (outcome) {
    case 'unknown_sku':
      return `${line.sku} is no SKU that is known`;
    case 'unknown_warehouse':
      return `${line.warehouse} is no warehouse that is known`;
    case 'insufficient':
      return `takes ${-line.delta} units, but ${available} are available`;
    default:
      return 'would bring the balance beyond what a cell can count';
  }
}
