/**
 * Reads the log until a batch is full, or due and wanted, folds it, and hands out the rows that are
 * final. This goes on while the batch before is being written, in pieces of some milliseconds: PostgreSQL must not wait for our data
 * meanwhile. A batch that is closed while PostgreSQL is busy only waits; open, it takes in what
 * comes, so there are fewer, and what is reserved and settled within one is written once.
 */
import type { Demand } from '../engine/log/demand.ts';
import type { ConsumerPosition, LogRecord, LogSource } from '../engine/log/event-log.ts';
import { cutByBytes } from '../engine/log/log-writer.ts';
import { Backoff, breathe, pause } from '../engine/log/pause.ts';
import { BatchFold } from './batch.ts';
import { consume, type LogForm, type Stop } from './consume.ts';
import type { PersisterLimits } from './limits.ts';
import type { BatchEnd, FinalRows } from './rows.ts';

export interface Gathered {
  readonly from: ConsumerPosition;
  readonly to: ConsumerPosition;
  readonly batch: BatchEnd;
  readonly records: number;
  readonly voided: number;
  readonly repeated: number;
  readonly stop: Stop | undefined;
}

export interface GatherOptions {
  readonly source: LogSource;
  readonly form: LogForm;
  readonly limits: PersisterLimits;
  readonly demand: Demand;
  /** Gets the rows that are final, while it gathers. */
  readonly final: FinalRows;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/** When a batch that is not full is closed: when it is due and PostgreSQL can take it. */
export interface Closing {
  /** When the batch before was closed, by `now`; it is due `gatherMs` later, demanded `demandedMs`. */
  readonly lastAt: number;
  /** Aborted as soon as PostgreSQL has done with the batch before. */
  readonly freed: AbortSignal;
}

/** An entry of 512 reservations, or a hundred small ones. */
const PIECE_BYTES = 32 * 1024;

export async function gather(
  from: ConsumerPosition,
  { lastAt, freed }: Closing,
  { source, form, limits, demand, final, now }: GatherOptions,
): Promise<Gathered> {
  const fold = new BatchFold(final);
  const count = { records: 0, voided: 0, repeated: 0 };
  let to = from;
  let stop: Stop | undefined;
  const looks = new Backoff(limits.look);
  for (;;) {
    const waitMs = count.records === 0 ? limits.idleMs : 0;
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
    // Nothing came although we waited: the log is idle.
    if (stop !== undefined || isFull || count.records === 0) break;
    const gatherMs = demand.isBeyond(from) ? limits.demandedMs : limits.gatherMs;
    const leftMs = lastAt + gatherMs - now();
    if (leftMs <= 0 && freed.aborted) break;
    // Once more after it is due and PostgreSQL free: with what came until then.
    if (leftMs > 0) await demand.pause(Math.min(leftMs, looks.next()));
    else await pause(looks.next(), freed);
  }
  return { from, to, batch: fold.end(), ...count, stop };
}

function sizeOf({ entry }: LogRecord): number {
  return entry?.length ?? 0;
}
