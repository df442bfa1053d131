/**
 * The lane's own stream as the log ("embedded"): what the persister reads when there is no Kafka.
 *
 * Each look at the lane is one script, so its entries, the term and whether the lane is open belong
 * together. The source is silent unless the lane is open, on the node that it was opened on, and
 * at the term of the reader's position: the tail of a closed lane is recovery's to relay, and only
 * recovery moves the term of the position row.
 */
import { TAIL_BYTES } from '../domain/script-limits.ts';
import type { LaneState, LaneTail } from '../redis/lane-state.ts';
import { Demand } from './demand.ts';
import type { ConsumerPosition, LogRecord, LogSource, ReadLimits } from './event-log.ts';
import type { Place } from './place.ts';

/** An idle lane is looked at ever less often, up to this; what is demanded of it wakes us. */
const POLL_MS_MAX = 50;
/** The same while something is demanded that is not there yet. */
const DEMANDED_POLL_MS_MAX = 5;
const POLL_MS_FIRST = 1;

/** Streams have no offsets; entries are told apart by their own ids. */
const NO_OFFSET = 0n;

export function createRedisLogSource(
  state: Pick<LaneState, 'tail'>,
  demand = new Demand(),
): LogSource {
  const closing = new AbortController();
  return {
    async read(position: ConsumerPosition, limits: ReadLimits): Promise<readonly LogRecord[]> {
      const deadline = performance.now() + limits.waitMs;
      for (let pollMs = POLL_MS_FIRST; ; pollMs *= 2) {
        const records = await readAll(state, position, limits);
        if (records.length > 0) return records;
        const leftMs = deadline - performance.now();
        if (leftMs <= 0 || closing.signal.aborted) return [];
        const pollMsMax = demand.isBeyond(position) ? DEMANDED_POLL_MS_MAX : POLL_MS_MAX;
        pollMs = Math.min(pollMs, pollMsMax);
        await demand.pause(Math.min(pollMs, leftMs), closing.signal);
      }
    },
    async close(): Promise<void> {
      closing.abort();
    },
  };
}

/** One look after the other, because each gives no more than Redis may be held up for. */
async function readAll(
  state: Pick<LaneState, 'tail'>,
  position: ConsumerPosition,
  { recordsMax, bytesMax }: ReadLimits,
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  let bytesLeft = bytesMax;
  let after: Place = position;
  for (;;) {
    const tail = await state.tail(after, recordsMax - records.length);
    const last = tail.entries.at(-1);
    if (!isReadable(tail, position) || last === undefined) return records;
    const some = within(bytesLeft, tail, records.length === 0);
    records.push(...some);
    const bytes = tail.entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    const hasMore = bytes >= TAIL_BYTES && some.length === tail.entries.length;
    bytesLeft -= bytes;
    after = last;
    if (!hasMore || bytesLeft <= 0 || records.length >= recordsMax) return records;
  }
}

/**
 * A later term than the position's is read too: the compare-and-set then finds another term in the
 * row, and the persister reads its position again.
 */
function isReadable(tail: LaneTail, position: ConsumerPosition): boolean {
  return tail.exists && tail.open && tail.replidMatches && tail.term >= position.term;
}

/** `isFirst`: at least one entry, however large it is. */
function within(bytesMax: number, { term, entries }: LaneTail, isFirst: boolean): LogRecord[] {
  const records: LogRecord[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry.bytes.length;
    if ((records.length > 0 || !isFirst) && bytes > bytesMax) break;
    records.push({ term, offset: NO_OFFSET, entry: entry.bytes });
  }
  return records;
}
