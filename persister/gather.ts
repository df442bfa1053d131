/**
 * Reads the log until a batch is full or due, and folds it. This goes on while the batch before is
 * being written, in pieces of a millisecond or two: PostgreSQL must not wait for our data meanwhile.
 */
import type { ConsumerPosition, LogRecord, LogSource } from '../engine/log/event-log.ts';
import { cutByBytes } from '../engine/log/log-writer.ts';
import { breathe } from '../engine/log/pause.ts';
import { BatchFold } from './batch.ts';
import { consume, type LogForm, type Stop } from './consume.ts';
import type { PersisterLimits } from './limits.ts';
import type { Batch } from './rows.ts';

export interface Gathered {
  readonly from: ConsumerPosition;
  readonly to: ConsumerPosition;
  readonly batch: Batch;
  readonly records: number;
  readonly voided: number;
  readonly repeated: number;
  readonly stop: Stop | undefined;
}

export interface GatherOptions {
  readonly source: LogSource;
  readonly form: LogForm;
  readonly limits: PersisterLimits;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/** An entry of 512 reservations, or a hundred small ones. */
const PIECE_BYTES = 32 * 1024;

/** `dueAt`: when to close the batch, by `now`; in the past: at once when there is anything. */
export async function gather(
  from: ConsumerPosition,
  dueAt: number,
  { source, form, limits, now }: GatherOptions,
): Promise<Gathered> {
  const fold = new BatchFold();
  const count = { records: 0, voided: 0, repeated: 0 };
  let to = from;
  let stop: Stop | undefined;
  for (;;) {
    const waitMs = count.records === 0 ? limits.idleMs : Math.max(0, dueAt - now());
    const records = await source.read(to, { ...limits, waitMs });
    for (const some of cutByBytes(records, sizeOf, PIECE_BYTES)) {
      const consumed = consume(to, some, form);
      for (const entry of consumed.accepted) fold.add(entry);
      count.records += consumed.records;
      count.voided += consumed.voided;
      count.repeated += consumed.repeated;
      to = consumed.position;
      stop = consumed.stop;
      if (stop !== undefined) break;
      await breathe();
    }
    const isFull = fold.events >= limits.eventsMax || count.records >= limits.recordsMax;
    // Nothing came although we waited: either it is due, or the log is idle.
    if (stop !== undefined || isFull || now() >= dueAt || count.records === 0) break;
  }
  return { from, to, batch: fold.batch(), ...count, stop };
}

function sizeOf({ entry }: LogRecord): number {
  return entry?.length ?? 0;
}
