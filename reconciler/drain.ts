/**
 * Step 4: what is in the stream and not yet in PostgreSQL? Read off the chain of predecessors
 * (lineage.ts); a tail is written to the log under recovery's term, a piece at a time.
 */
import { ByteReader, DecodeError } from '../engine/events/bytes.ts';
import { type EntryKey, NEVER } from '../engine/events/entry.ts';
import { ENTRY_FORMAT } from '../engine/events/entry-codec.ts';
import { isSameEntry, type Place, showPlace } from '../engine/log/place.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import type { LaneTail, StreamEntry } from '../engine/redis/lane-state.ts';
import { type Claim, type RecoveryDeps, RecoveryEnded } from './claim.ts';
import { type Lineage, type Link, traceLineage } from './lineage.ts';

const NONCE_BYTES = 8;

/** Throws RecoveryEnded when the lane must be parked. */
export async function findLineage(
  deps: RecoveryDeps,
  claim: Claim,
  position: EntryKey,
): Promise<Exclude<Lineage, { kind: 'behind' }>> {
  const { last, halfDone } = await readTail(deps, claim, position);
  const found = await traceLineage(
    {
      last,
      halfDone,
      linksAfter: async (place) => (await readTail(deps, claim, place)).entries.map(readLink),
      isApplied: (key) => isApplied(deps.pool, deps.lane, key),
    },
    position,
  );
  if (found.kind === 'behind') {
    throw new RecoveryEnded(
      'parked',
      `PostgreSQL is behind: it stands at ${showPlace(position)}, the stream in Redis begins behind ${showPlace(found.base)}, which PostgreSQL never had. Bring the entries between to PostgreSQL (a newer standby, a backup, the log's archive), or, to give them up, empty this lane in Redis; then unpark the lane`,
    );
  }
  return found;
}

/** Writes the tail to the log; says how many entries it was. */
export async function relayTail(
  deps: RecoveryDeps,
  claim: Claim,
  tail: Extract<Lineage, { kind: 'tail' }>,
): Promise<number> {
  let place: Place = tail.after;
  let count = 0;
  for (;;) {
    const { entries } = await readTail(deps, claim, place);
    const last = entries.at(-1);
    if (last === undefined) return count;
    const bytes = entries.map((entry) => entry.bytes);
    await deps.log.appendTail(deps.lane, claim.term, bytes);
    deps.crashPoint('recovery.in_relay');
    count += entries.length;
    place = last;
  }
}

/** Exactly this entry, not one at the same place of a fork. */
export async function isApplied(pool: Pool, lane: number, key: EntryKey): Promise<boolean> {
  if (isSameEntry(key, NEVER)) return true;
  const { rowCount } = await pool.query(
    'SELECT FROM entries WHERE lane = $1 AND epoch = $2 AND seq = $3 AND nonce = $4',
    [lane, key.epoch, key.seq, key.nonce],
  );
  return rowCount === 1;
}

async function readTail(deps: RecoveryDeps, claim: Claim, after: Place): Promise<LaneTail> {
  await claim.stay();
  const tail = await deps.state.tail(after, deps.limits.entriesMax);
  claim.requireOurs(tail);
  return tail;
}

/** Key and predecessor stand at the front of every entry; the rest is not recovery's business. */
export function readLink(entry: StreamEntry): Link {
  try {
    const reader = new ByteReader(entry.bytes);
    const format = reader.u8();
    if (format !== ENTRY_FORMAT) throw new DecodeError(`format ${format} is not ${ENTRY_FORMAT}`);
    reader.u8();
    const link = { key: readKey(reader), predecessor: readKey(reader) };
    if (link.key.epoch !== entry.epoch || link.key.seq !== entry.seq) {
      throw new DecodeError(`it says that it is ${showPlace(link.key)}`);
    }
    return link;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new RecoveryEnded(
      'parked',
      `entry ${showPlace(entry)} of the stream in Redis cannot be read: ${error.message}`,
    );
  }
}

function readKey(reader: ByteReader): EntryKey {
  return { epoch: reader.i64(), seq: reader.i64(), nonce: Buffer.from(reader.raw(NONCE_BYTES)) };
}
