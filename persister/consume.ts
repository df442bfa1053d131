/**
 * The rules of every consumer of a lane's log, without any I/O (design section 7; the same as
 * `consume` and `apply_entry` in the model): position and records in; accepted entries and the new
 * position out.
 *
 * In order of precedence, for each record:
 * 1. its offset must be the position's, for a skipped record might have been a fence;
 * 2. a lower term than the position's: void, whatever it holds;
 * 3. a higher term: a fence, which raises the position's term, entry or not;
 * 4. an entry at or below the position: a repeat, skipped;
 * 5. the entry whose predecessor is the position, and which is the next of its epoch or the first
 *    of a later one: accepted;
 * 6. anything else stops.
 */
import { DecodeError } from '../engine/events/bytes.ts';
import type { Entry } from '../engine/events/entry.ts';
import { decodeEntry } from '../engine/events/entry-codec.ts';
import type { ConsumerPosition, LogRecord } from '../engine/log/event-log.ts';
import { comparePlaces, isSameEntry, showPlace } from '../engine/log/place.ts';
import { faultOf } from './check-entry.ts';

/** `stream`: the records have no offsets (embedded), the entries' own order is all there is. */
export type LogForm = 'kafka' | 'stream';

export type Stop =
  /** The entry cannot be read; the lane is parked until a person looks. */
  | { readonly kind: 'undecodable'; readonly reason: string }
  /** Something is missing before this record; read again, and never go past it. */
  | { readonly kind: 'gap'; readonly reason: string };

export interface Consumed {
  /** Entries to apply, oldest first, each with the size of its record. */
  readonly accepted: readonly Entry[];
  /** Position behind the last record that was consumed, void ones and repeats included. */
  readonly position: ConsumerPosition;
  readonly voided: number;
  readonly repeated: number;
  /** Records that were consumed; fewer than given when one of them stopped. */
  readonly records: number;
  readonly stop?: Stop;
}

export function consume(
  from: ConsumerPosition,
  records: readonly LogRecord[],
  form: LogForm,
): Consumed {
  const accepted: Entry[] = [];
  let position = from;
  let voided = 0;
  let repeated = 0;
  let count = 0;
  let stop: Stop | undefined;
  for (const record of records) {
    const verdict = judge(position, record, form);
    if (typeof verdict === 'object' && 'reason' in verdict) {
      stop = verdict;
      break;
    }
    count++;
    if (verdict === 'void') voided++;
    if (verdict === 'repeat') repeated++;
    const entry = typeof verdict === 'object' ? verdict : undefined;
    if (entry !== undefined) accepted.push(entry);
    position = advance(position, record, form, entry);
  }
  const seen = { accepted, position, voided, repeated, records: count };
  return stop === undefined ? seen : { ...seen, stop };
}

type Verdict = 'void' | 'fence' | 'repeat' | Entry | Stop;

function judge(position: ConsumerPosition, record: LogRecord, form: LogForm): Verdict {
  if (form === 'kafka' && record.offset !== position.offset) {
    return gap(`the log continues at offset ${record.offset}, ${position.offset} is next`);
  }
  if (record.term < position.term) return 'void';
  if (record.entry === undefined) return 'fence';
  const entry = tryDecode(record);
  if ('reason' in entry) return entry;
  if (comparePlaces(entry.key, position) <= 0) return 'repeat';
  if (!isSameEntry(entry.predecessor, position)) {
    return gap(
      `entry ${showPlace(entry.key)} follows ${showPlace(entry.predecessor)}, the position is ${showPlace(position)}`,
    );
  }
  const seq = entry.key.epoch === position.epoch ? position.seq + 1 : 1;
  if (entry.key.seq !== seq) {
    return gap(`entry ${showPlace(entry.key)} stands where ${entry.key.epoch}-${seq} is due`);
  }
  return entry;
}

function tryDecode(record: LogRecord): Entry | Stop {
  try {
    const entry = decodeEntry(record.entry ?? Buffer.alloc(0));
    const fault = faultOf(entry);
    return fault === undefined ? entry : undecodable(record, fault);
  } catch (error) {
    if (error instanceof DecodeError) return undecodable(record, error.message);
    throw error;
  }
}

function undecodable(record: LogRecord, why: string): Stop {
  return {
    kind: 'undecodable',
    reason: `the entry at offset ${record.offset} cannot be read: ${why}`,
  };
}

function gap(reason: string): Stop {
  return { kind: 'gap', reason };
}

function advance(
  position: ConsumerPosition,
  record: LogRecord,
  form: LogForm,
  entry: Entry | undefined,
): ConsumerPosition {
  const { epoch, seq, nonce } = entry?.key ?? position;
  return {
    term: Math.max(position.term, record.term),
    epoch,
    seq,
    nonce,
    offset: form === 'kafka' ? record.offset + 1n : position.offset,
  };
}
