/** `POST /api/v1/inventory/commit`, `release`, `cancel`, `ship` and `extend`. */
import { QUANTITY_MAX } from '../../domain/cell.ts';
import type { SettleLine } from '../../redis/operation.ts';
import type { ReservationDeps } from '../../reservations/deps.ts';
import { reservationIdFault } from '../../reservations/identity.ts';
import type { Settlement } from '../../reservations/policy.ts';
import { extend, settle } from '../../reservations/settle.ts';
import type { SettleItemInput } from '../../reservations/settlement.ts';
import { mergeSettleItems } from '../../reservations/settlement.ts';
import type { Exchange, Handler } from '../exchange.ts';
import { compileBody, requestSchemas } from '../schema.ts';
import type { Presenter } from './present.ts';
import { answerFaults, readRequest } from './request.ts';
import { scanSettle } from './settle-scan.ts';

export function commitHandler(deps: ReservationDeps, present: Presenter): Handler {
  const check = compileBody(requestSchemas(deps.policy).commit);
  return (exchange) => {
    const request = readRequest(exchange, check, deps.policy, scanSettle);
    if (request === undefined) return;
    const { body, level, idempotencyKey } = request;
    const named = readNamed(exchange, body);
    if (named === undefined || isRetakeFaulty(exchange, body)) return;
    const { reservationId, lines } = named;
    const { hold_epoch: holdEpoch } = body;
    const isAwaited = (): boolean => !exchange.aborted;
    const asked = { operation: 'commit', isLevelPreferred: level !== undefined };
    settle(
      { verb: 'commit', reservationId, lines, idempotencyKey, holdEpoch, level, isAwaited },
      deps,
      (answer) => present(exchange, answer, asked),
    );
  };
}

export function settleHandler(
  verb: Exclude<Settlement, 'commit'>,
  deps: ReservationDeps,
  present: Presenter,
): Handler {
  const check = compileBody(requestSchemas(deps.policy).settle);
  return (exchange) => {
    const request = readRequest(exchange, check, deps.policy, scanSettle);
    if (request === undefined) return;
    const { body, level, idempotencyKey } = request;
    const named = readNamed(exchange, body);
    if (named === undefined) return;
    const { reservationId, lines } = named;
    const isAwaited = (): boolean => !exchange.aborted;
    const asked = { operation: verb, isLevelPreferred: level !== undefined };
    settle(
      { verb, reservationId, lines, idempotencyKey, holdEpoch: undefined, level, isAwaited },
      deps,
      (answer) => present(exchange, answer, asked),
    );
  };
}

export function extendHandler(deps: ReservationDeps, present: Presenter): Handler {
  const check = compileBody(requestSchemas(deps.policy).extend);
  return (exchange) => {
    const request = readRequest(exchange, check, deps.policy);
    if (request === undefined) return;
    const { body, level } = request;
    const reservationId = readReservationId(exchange, body.reservation_id);
    if (reservationId === undefined) return;
    const asked = { operation: 'extend', isLevelPreferred: level !== undefined };
    extend({ reservationId, ttlS: body.ttl_seconds, level }, deps, (answer) =>
      present(exchange, answer, asked),
    );
  };
}

interface NamedUnits {
  readonly reservationId: string;
  readonly lines: readonly SettleLine[] | undefined;
}

interface NamingBody {
  readonly reservation_id: string | number;
  readonly lines?: readonly SettleItemInput[];
}

/** What the body names, or undefined when the exchange was answered with what is wrong with it. */
function readNamed(exchange: Exchange, body: NamingBody): NamedUnits | undefined {
  const reservationId = readReservationId(exchange, body.reservation_id);
  if (reservationId === undefined) return undefined;
  if (body.lines === undefined) return { reservationId, lines: undefined };
  const lines = mergeSettleItems(body.lines);
  if ('item' in lines) {
    const message = `brings its SKU to ${lines.total} units; at most ${QUANTITY_MAX}`;
    answerFaults(exchange, [{ pointer: `/lines/${lines.item}/quantity`, message }]);
    return undefined;
  }
  return { reservationId, lines };
}

function readReservationId(exchange: Exchange, given: string | number): string | undefined {
  const id = String(given);
  const fault = reservationIdFault(id);
  if (fault === undefined) return id;
  answerFaults(exchange, [{ pointer: '/reservation_id', message: `is refused: ${fault}` }]);
  return undefined;
}

/** Units can only be taken again where the commit says which and from where. */
function isRetakeFaulty(
  exchange: Exchange,
  body: { readonly hold_epoch?: number; readonly lines?: readonly SettleItemInput[] },
): boolean {
  if (body.hold_epoch === undefined) return false;
  const at = body.lines?.findIndex((line) => line.warehouse_id === undefined);
  if (at === -1) return false;
  const pointer = at === undefined ? '/lines' : `/lines/${at}/warehouse_id`;
  const message = 'is missing; with hold_epoch, each line names its SKU, warehouse and quantity';
  answerFaults(exchange, [{ pointer, message }]);
  return true;
}
