/** A lane that answers from a script, for tests of what the services make of its answers. */
import { randomBytes } from 'node:crypto';
import type { CommittedRecord, HeldRecord, ReservationRecord } from '../domain/reservation.ts';
import { IdMaker } from '../domain/reservation-id.ts';
import type { LaneRefusal, OperationAnswer } from '../redis/lane-port.ts';
import type { LaneStamp, Operation, OperationResult } from '../redis/operation.ts';
import type { Warehouse } from '../stock/warehouse.ts';
import { WAREHOUSE_DEFAULTS } from '../stock/warehouse.ts';
import type { ReservationAnswer } from './answer.ts';
import type { ReservationDeps } from './deps.ts';
import { DEFAULT_RESERVATION_POLICY } from './policy.ts';
import { SoldOutCache } from './sold-out.ts';

export const NOW_MS = 1_800_000_000_000;
export const STAMP: LaneStamp = { epoch: 5, seq: 100, timeMs: NOW_MS, offsetMs: 0 };

const begun = { version: 1, createdS: NOW_MS / 1_000, fingerprint: Buffer.alloc(8), lines: [] };
export const HELD: HeldRecord = {
  ...begun,
  state: 'held',
  deadlineS: NOW_MS / 1_000 + 600,
  operations: [],
};
export const COMMITTED: CommittedRecord = {
  ...begun,
  state: 'committed',
  commitFingerprint: 0,
  operations: [],
};
export const EXPIRED: ReservationRecord = {
  state: 'expired',
  createdS: begun.createdS,
  fingerprint: begun.fingerprint,
};

export const REFUSAL: LaneRefusal = { outcome: 'fenced', detail: 'closed', retryAfterMs: 500 };

export function result(
  outcome: OperationResult['outcome'],
  more: Partial<OperationResult> = {},
): OperationResult {
  return { outcome, replayed: false, stamp: STAMP, ...more };
}

export interface Subject extends ReservationDeps {
  /** What the lane was asked, in order. */
  readonly asked: Operation[];
  /** Levels that were waited for. */
  readonly waits: string[];
  /** Times that a sign of life was asked for. */
  confirms: number;
}

export interface SubjectScript {
  readonly answers: readonly OperationAnswer[];
  readonly archived?: ReservationRecord | Error | (() => Promise<ReservationRecord | undefined>);
  readonly isReached?: boolean;
  readonly isAlive?: boolean;
  readonly warehouses?: readonly string[] | Error;
}

export function makeSubject(script: SubjectScript): Subject {
  const answers = [...script.answers];
  const asked: Operation[] = [];
  const waits: string[] = [];
  const unasked = () => Promise.reject(new Error('not part of the script'));
  const subject: Subject = {
    asked,
    waits,
    confirms: 0,
    policy: DEFAULT_RESERVATION_POLICY,
    ids: new IdMaker(randomBytes),
    soldOut: new SoldOutCache({ ageMsMax: 200, now: () => performance.now() }),
    lane: {
      number: 0,
      nowMs: () => NOW_MS,
      submit(operation, done) {
        asked.push(operation);
        const answer = answers.shift();
        if (answer === undefined) throw new Error('the lane was asked more than the script has');
        queueMicrotask(() => done(answer));
      },
      stock: unasked,
      availability: unasked,
      defineProducts: unasked,
      expire: unasked,
    },
    watermarks: {
      wait(level, _stamp, done) {
        waits.push(level);
        done(script.isReached ?? true);
      },
      known: (_stamp, level) => level,
      confirmOpen(_stamp, done) {
        subject.confirms += 1;
        done(script.isAlive ?? true);
      },
    },
    archive: {
      find: async () => {
        if (script.archived instanceof Error) throw script.archived;
        return typeof script.archived === 'function' ? script.archived() : script.archived;
      },
    },
    directory: {
      load: unasked,
      put: () => undefined,
      get: () => undefined,
      find: async (ids) => {
        const known = script.warehouses ?? [];
        if (known instanceof Error) throw known;
        const found = ids.filter((id) => known.includes(id));
        return new Map(found.map((id): [string, Warehouse] => [id, warehouseOf(id)]));
      },
    },
  };
  return subject;
}

function warehouseOf(id: string): Warehouse {
  return { ...WAREHOUSE_DEFAULTS, warehouse_id: id };
}

export function answerOf(
  ask: (done: (answer: ReservationAnswer) => void) => void,
): Promise<ReservationAnswer> {
  return new Promise((resolve) => ask(resolve));
}
