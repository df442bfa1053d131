/** Reads the log until a batch is full or due, and makes of it all that its transaction needs. */
import type { Entry } from '../engine/events/entry.ts';
import type { ConsumerPosition, LogSource } from '../engine/log/event-log.ts';
import { foldBatch } from './batch.ts';
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

/** `dueAt`: when to close the batch, by `now`; in the past: at once when there is anything. */
export async function gather(
  from: ConsumerPosition,
  dueAt: number,
  { source, form, limits, now }: GatherOptions,
): Promise<Gathered> {
  const entries: Entry[] = [];
  const count = { records: 0, voided: 0, repeated: 0, events: 0 };
  let to = from;
  let stop: Stop | undefined;
  for (;;) {
    const isEmpty = count.records === 0;
    const waitMs = isEmpty ? limits.idleMs : Math.max(0, dueAt - now());
    const records = await source.read(to, { ...limits, waitMs });
    const consumed = consume(to, records, form);
    for (const entry of consumed.accepted) {
      entries.push(entry);
      count.events += entry.changes.length;
    }
    count.records += consumed.records;
    count.voided += consumed.voided;
    count.repeated += consumed.repeated;
    to = consumed.position;
    stop = consumed.stop;
    const isFull = count.events >= limits.eventsMax || count.records >= limits.recordsMax;
    // Nothing came although we waited: either it is due, or the log is idle.
    if (stop !== undefined || isFull || now() >= dueAt || count.records === 0) break;
  }
  const { records, voided, repeated } = count;
  return { from, to, batch: foldBatch(entries), records, voided, repeated, stop };
}
