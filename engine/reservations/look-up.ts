/** A reservation as it now is: from the lane, or from PostgreSQL when it has left Redis. */
import type { ReservationRecord } from '../domain/reservation.ts';
import { packId } from '../domain/reservation-id.ts';
import { isRefusal, type OperationAnswer } from '../redis/lane-port.ts';
import type { LaneStamp } from '../redis/operation.ts';
import type { Done } from './answer.ts';
import { fromRefusal, unavailable } from './answer.ts';
import type { Wanted } from './assurance.ts';
import { assure } from './assurance.ts';
import type { ReservationDeps } from './deps.ts';
import { archiveFault } from './settle.ts';

export function lookUp(
  id: string,
  level: Wanted['level'],
  deps: ReservationDeps,
  done: Done,
): void {
  const wanted: Wanted = { verb: 'look_up', level };
  const decide = (answer: OperationAnswer): void => {
    if (isRefusal(answer)) done(fromRefusal(id, answer));
    else if (answer.outcome !== 'not_found') assure(id, answer, wanted, deps, done);
    else {
      deps.archive.find(id, answer.stamp).then(
        (record) => {
          if (record === undefined) assure(id, answer, wanted, deps, done);
          else showArchived(id, answer.stamp, record, deps, done);
        },
        (error: unknown) => done(unavailable(id, archiveFault(error))),
      );
    }
  };
  deps.lane.submit({ kind: 'inspect', id: packId(id) }, decide, level);
}

/** A live hold is in Redis while it lives: that it is not there may be the word of a zombie. */
function showArchived(
  id: string,
  stamp: LaneStamp,
  record: ReservationRecord,
  deps: ReservationDeps,
  done: Done,
): void {
  const found = { kind: 'decided', id, outcome: 'exists', replayed: false } as const;
  const shown = { ...found, stamp, record, shortages: undefined, level: 'persisted' } as const;
  const show = (): void => done(shown);
  if (record.state !== 'held') {
    show();
    return;
  }
  deps.watermarks.confirmOpen(stamp, (alive) => {
    if (alive) show();
    else done(unavailable(id, 'Redis and PostgreSQL disagree about this hold; ask again.'));
  });
}
