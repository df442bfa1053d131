/**
 * The entries of the log that count, from the lane's first one on, read as the run goes: Kafka's
 * records with the rule that a lower term behind a higher one is void, or the stream in Redis. A
 * record that is delivered twice is taken once.
 */
import type { Redis } from 'ioredis';
import type { ConsumerPosition, LogSource } from '../../log/event-log.ts';
import { laneKeys } from '../../redis/keys.ts';
import { type DecodedEntry, decodeEntry } from '../auditor/decode.ts';

export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

export interface LogReader {
  /** False for the stream: a node that lost its tail lacks entries that PostgreSQL has. */
  readonly isWhole: boolean;
  /** All entries up to the place; throws when they do not come within the time. */
  readUntil(place: Place, timeoutMs: number): Promise<readonly DecodedEntry[]>;
  /** Drops what was read but the last: what is read later begins there. For runs of a million. */
  forget(): void;
  close(): Promise<void>;
}

const LANE = 0;
const PIECE = 1_000;
const POLL_MS = 20;
const READ_LIMITS = { recordsMax: PIECE, bytesMax: 4_194_304, waitMs: 200 };

function reaches(one: Place | undefined, other: Place): boolean {
  if (one === undefined) return other.epoch === 0;
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.seq >= other.seq);
}

/** Calls `more` until the last entry stands at or behind the place; gives up when none comes for the time. */
async function readTo(
  entries: DecodedEntry[],
  place: Place,
  timeoutMs: number,
  more: () => Promise<void>,
): Promise<readonly DecodedEntry[]> {
  let deadlineMs = performance.now() + timeoutMs;
  for (let read = entries.length; !reaches(entries.at(-1)?.id, place); ) {
    if (entries.length > read) deadlineMs = performance.now() + timeoutMs;
    read = entries.length;
    if (performance.now() > deadlineMs) {
      throw new Error(
        `the log did not come to ${place.epoch}-${place.seq} within ${timeoutMs} ms; it ends at ${entries.at(-1)?.id.epoch}-${entries.at(-1)?.id.seq}`,
      );
    }
    await more();
  }
  return entries.filter(({ id }) => reaches(place, id));
}

/**
 * The stream of the node that is in charge when it is read; only once PostgreSQL has what is read,
 * because what a fork had is dropped. The stream must not have been trimmed past what was read.
 */
export function streamLogReader(connect: () => Promise<Redis>): LogReader {
  const entries: DecodedEntry[] = [];
  return {
    isWhole: false,
    readUntil: (place, timeoutMs) =>
      readTo(entries, place, timeoutMs, async () => {
        const redis = await connect();
        const last = entries.at(-1)?.id;
        const from = last === undefined ? '-' : `(${last.epoch}-${last.seq}`;
        const reply = await redis.xrangeBuffer(laneKeys(LANE).log, from, '+', 'COUNT', PIECE);
        for (const [id, fields] of reply) {
          const bytes = fields[1];
          if (bytes === undefined) throw new Error(`entry ${String(id)} has no bytes`);
          const entry = decodeEntry(bytes, `entry ${String(id)}`);
          // Half done by a script that died: no part of the log until recovery has relayed it.
          if (reaches(place, entry.id)) entries.push(entry);
        }
        if (reply.length === 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }),
    forget: () => void entries.splice(0, entries.length - 1),
    close: async () => undefined,
  };
}

export function kafkaLogReader(source: LogSource): LogReader {
  const entries: DecodedEntry[] = [];
  let position: ConsumerPosition = {
    epoch: 0,
    seq: 0,
    nonce: Buffer.alloc(8),
    term: 0,
    offset: 0n,
  };
  return {
    isWhole: true,
    readUntil: (place, timeoutMs) =>
      readTo(entries, place, timeoutMs, async () => {
        for (const { term, offset, entry } of await source.read(position, READ_LIMITS)) {
          const isVoid = term < position.term;
          position = { ...position, term: Math.max(term, position.term), offset: offset + 1n };
          if (isVoid || entry === undefined) continue;
          const decoded = decodeEntry(entry, `the record at offset ${offset}`);
          if (!reaches(entries.at(-1)?.id, decoded.id)) entries.push(decoded);
        }
      }),
    forget: () => void entries.splice(0, entries.length - 1),
    close: () => source.close(),
  };
}
