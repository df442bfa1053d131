/** `GET /api/v1/inventory/reservations/{reservation_id}`. */
import type { ReservationDeps } from '../../reservations/deps.ts';
import { reservationIdFault } from '../../reservations/identity.ts';
import { lookUp } from '../../reservations/look-up.ts';
import type { Handler } from '../exchange.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import type { Presenter } from './present.ts';
import { readLevel, readPathId } from './request.ts';

export function reservationHandler(deps: ReservationDeps, present: Presenter): Handler {
  return (exchange) => {
    const id = readPathId(exchange, 'reservation_id');
    if (id === undefined) return;
    const fault = reservationIdFault(id);
    if (fault !== undefined) {
      exchange.problem(outcomeProblem('invalid_request'), { detail: `${fault}.` });
      return;
    }
    const preferred = readLevel(exchange, deps.policy);
    if (preferred === undefined) return;
    const { level } = preferred;
    const asked = { operation: 'look_up', isLevelPreferred: level !== undefined };
    lookUp(id, level, deps, (answer) => present(exchange, answer, asked));
  };
}
