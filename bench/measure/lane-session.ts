/**
 * The lane of an engine without HTTP before it: whoever fills a Redis with millions of cells or holds
 * sends them through the product's own scripts, so that what stands there is the real thing.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { OutcomeName } from '../../engine/domain/outcome.ts';
import {
  BLOCK_AT,
  BLOCK_BYTES,
  digestId,
  IdMaker,
  isMadeId,
  packId,
} from '../../engine/domain/reservation-id.ts';
import { SCRIPT_WORK_MAX } from '../../engine/domain/script-limits.ts';
import { createLane } from '../../engine/redis/lane.ts';
import type { Lane, OperationAnswer } from '../../engine/redis/lane-port.ts';
import type { Operation, ReserveOperation } from '../../engine/redis/operation.ts';
import { Line } from '../../engine/runtime/line.ts';

export interface StockLine {
  readonly sku: Sku;
  readonly field: CellField;
  readonly units: number;
}

export interface Work {
  readonly count: number;
  readonly operation: (index: number) => Operation;
  /** Any other outcome ends the work. */
  readonly wanted: OutcomeName;
}

export interface LaneSession {
  readonly lane: Lane;
  /** The lane's; for whatever else answers in this process. */
  readonly line: Line;
  /** An id that nobody has used, as an engine makes it. */
  makeId(): Buffer;
  define(skus: readonly Sku[]): Promise<void>;
  /** In one script; their SKUs must be known. */
  receive(lines: readonly StockLine[]): Promise<void>;
  /** Sends all in full batches; rejects with the first answer that was not wanted. */
  submit(work: Work): Promise<void>;
  balances(
    skus: readonly Sku[],
  ): Promise<{ readonly available: number; readonly reserved: number }>;
  /** Batches and operations since the beginning. */
  sent(): { readonly batches: number; readonly operations: number };
}

const LANE = 0;
const FINGERPRINT = Buffer.from('12345678');
/** Two batches are in flight, one is gathered, and one more so that none goes out short. */
const BATCHES_WAITING = 4;
/** Of SKUs in one look at their balances: a reply of some hundred kilobytes. */
const SKUS_AT_ONCE = 2_000;

export interface SessionLimits {
  readonly batch: number;
}

/** The lane must be open. */
export async function joinLane(redis: Redis, { batch }: SessionLimits): Promise<LaneSession> {
  let batches = 0;
  let operations = 0;
  const line = new Line();
  const lane = createLane({
    redis,
    number: LANE,
    line,
    limits: {
      batchOperationsMax: batch,
      batchLinesMax: SCRIPT_WORK_MAX,
      queueWaitMsMax: 60_000,
      holdAgeSMax: 86_400,
    },
    hooks: {
      onBatch: (_, count) => {
        batches++;
        operations += count;
      },
      // Each of these is answered too, and the answer ends the work.
      onFenced: () => undefined,
      onStoreError: () => undefined,
      onUnreadable: () => undefined,
    },
  });
  // What was seen of a lane tells its scripts which ids are fresh.
  must('applied', await lane.availability([]));
  const ids = new IdMaker(randomBytes);
  const makeId = (): Buffer => ids.make(lane.nowMs(), LANE);
  return {
    lane,
    line,
    makeId,
    sent: () => ({ batches, operations }),
    submit: (work) => keepFull(lane, work, batch * BATCHES_WAITING),
    async define(skus) {
      must('applied', await lane.defineProducts(skus));
    },
    async receive(lines) {
      const received = await lane.stock({
        kind: 'receive',
        id: makeId(),
        fresh: true,
        fingerprint: FINGERPRINT,
        attributes: '',
        lines: lines.map(({ sku, field, units }) => ({ sku, field, delta: units })),
      });
      must('applied', received);
    },
    async balances(skus) {
      const sum = { available: 0, reserved: 0 };
      for (let at = 0; at < skus.length; at += SKUS_AT_ONCE) {
        const view = await lane.availability(skus.slice(at, at + SKUS_AT_ONCE));
        if (view.outcome !== 'applied') throw new Error(view.detail);
        for (const { available, reserved } of view.skus.flatMap(({ cells }) => cells)) {
          sum.available += available;
          sum.reserved += reserved;
        }
      }
      return sum;
    },
  };
}

/**
 * `made`: by the engine, 64 of them stand together; `crowded`: the same where a lane makes so many a day that
 * more come together than Redis packs into a listpack; `keyed`: of an Idempotency-Key, spread by hash.
 */
export type IdKind = 'made' | 'crowded' | 'keyed';

/** More than `hash-max-listpack-entries` (128). */
const CROWD = 200;

/** An id that was not used yet, where each index comes once. */
export function nextId(session: LaneSession, kind: IdKind, index: number): Buffer {
  if (kind === 'keyed') return packId(digestId('ik_', 'bench', String(index)));
  const id = session.makeId();
  if (kind === 'crowded') id.writeUIntBE(Math.floor(index / CROWD), BLOCK_AT, BLOCK_BYTES);
  return id;
}

/** A reserve of one line, as checkout asks for it. */
export function reserveOperation(
  id: Buffer,
  sku: Sku,
  fields: readonly CellField[],
  ttlS: number,
): ReserveOperation {
  return {
    kind: 'reserve',
    id,
    fresh: isMadeId(id),
    fingerprint: FINGERPRINT,
    ttlS,
    partial: false,
    split: true,
    attributes: '',
    lines: [{ sku, quantity: 1, fields }],
  };
}

function must(wanted: string, answer: OperationAnswer | { readonly outcome: string }): void {
  if (answer.outcome === wanted) return;
  const detail = 'detail' in answer ? `: ${answer.detail}` : '';
  throw new Error(`the lane answered ${answer.outcome} for ${wanted}${detail}`);
}

function keepFull(lane: Lane, work: Work, waitingMax: number): Promise<void> {
  const { count, operation, wanted } = work;
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let hasFailed = count === 0;
    const sendOne = (): void => {
      lane.submit(operation(sent++), (answer) => {
        answered++;
        if (hasFailed) return;
        try {
          must(wanted, answer);
        } catch (error) {
          hasFailed = true;
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        if (sent < count) sendOne();
        else if (answered === count) resolve();
      });
    };
    if (count === 0) resolve();
    while (sent < Math.min(waitingMax, count)) sendOne();
  });
}
