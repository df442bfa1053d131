/**
 * The log, entry after entry from the oldest that there is: the lane's stream in Redis, or Kafka
 * through the `LogSource` port, with the rule that a lower term behind a higher one is void.
 */

import type { ConsumerPosition, LogSource } from '../../engine/log/event-log.ts';
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import type { DecodedEntry } from '../../engine/testing/auditor/decode.ts';
import { decodeEntry } from '../../engine/testing/auditor/decode.ts';
import type { LaneReader } from './lane-reader.ts';
import { asBytes, asList } from './lane-reader.ts';
import type { LogItem } from './log-pass.ts';
import { LogTrimmed } from './log-pass.ts';
import type { Place } from './place.ts';
import { reaches, showPlace } from './place.ts';

const ENTRIES_MAX = 256;

/** What is left of the stream, which PostgreSQL's progress trims from its beginning. */
export async function* streamEntries(reader: LaneReader, keys: LaneKeys): AsyncGenerator<LogItem> {
  let last = '';
  for (;;) {
    const from = last === '' ? '-' : `(${last}`;
    const [piece, before] = await reader.transaction([
      ['XRANGE', keys.log, from, '+', 'COUNT', ENTRIES_MAX],
      ['XRANGE', keys.log, last === '' ? '-' : last, last === '' ? '-' : last],
    ]);
    if (last !== '' && asList(before).length === 0) {
      throw new LogTrimmed(`entry ${last} was trimmed while the log was read`);
    }
    const items = asList(piece).map(asList);
    for (const [id, fields] of items) {
      last = String(id);
      yield { bytes: asBytes(asList(fields)[1]), name: `entry ${last}`, place: readPlace(last) };
    }
    if (items.length < ENTRIES_MAX) return;
  }
}

function readPlace(id: string): Place {
  const [epoch = 0, seq = 0] = id.split('-').map(Number);
  return { epoch, seq };
}

const READ_LIMITS = { recordsMax: 1000, bytesMax: 4_194_304, waitMs: 500 };
/** The log must have what PostgreSQL applied; a group may take seconds to be let in. */
const IDLE_MS_MAX = 20_000;

/** Valid records of a log from its beginning until it has shown `until`, or ends. */
export async function* loggedEntries(source: LogSource, until: Place): AsyncGenerator<LogItem> {
  let position: ConsumerPosition = {
    epoch: 0,
    seq: 0,
    nonce: Buffer.alloc(8),
    term: 0,
    offset: 0n,
  };
  let last: Place = { epoch: 0, seq: 0 };
  let heardMs = performance.now();
  while (!reaches(last, until) && performance.now() - heardMs < IDLE_MS_MAX) {
    const records = await source.read(position, READ_LIMITS);
    if (records.length > 0) heardMs = performance.now();
    for (const { term, offset, entry } of records) {
      const isVoid = term < position.term;
      position = { ...position, term: Math.max(term, position.term), offset: offset + 1n };
      if (isVoid || entry === undefined) continue;
      const decoded = readEntry(entry, offset);
      const id = decoded?.id;
      // Delivered again, by a relay that could not know that it had been delivered.
      if (id !== undefined && reaches(last, id)) continue;
      if (id !== undefined) last = id;
      const name = id === undefined ? `the record at offset ${offset}` : `entry ${showPlace(id)}`;
      yield { bytes: entry, name, ...(decoded !== undefined && { entry: decoded }) };
    }
  }
}

function readEntry(entry: Uint8Array, offset: bigint): DecodedEntry | undefined {
  try {
    return decodeEntry(entry, `the record at offset ${offset}`);
  } catch (error) {
    if (error instanceof UnreadableBytes) return undefined;
    throw error;
  }
}
