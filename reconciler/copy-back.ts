/**
 * Step 5: PostgreSQL's rows go back into Redis. Only those that are newer than what Redis has, where
 * Redis is known to stand at an applied entry; else everything, over an emptied lane.
 *
 * Everything is never copied over what is there: a hold that PostgreSQL does not know would stay,
 * and when it expires the sweeper would give back units that were never taken.
 *
 * Nor are newer rows copied over a Redis of another day. A hold that it has, ended since, may be one
 * whose record does not go back, or goes elsewhere: because its generation is too old to be looked at,
 * its id was used again, or it was settled in a later generation. It would end a second time. On the
 * day of the head none of this can be, unless Redis has such holds already, since nothing swept it for
 * days (lua/includes/unseen.lua): no hold lives longer than a day, and a record stays where it is for
 * the day that it was made on and the next.
 */

import { generationOf } from '../engine/domain/reservation-id.ts';
import type { EntryKey } from '../engine/events/entry.ts';
import { isSameEntry, showPlace } from '../engine/log/place.ts';
import type { LanePosition } from '../engine/postgres/position.ts';
import type { ClaimReply, RecoveryReply, RestoreChunk } from '../engine/redis/lane-state.ts';
import type { Claim, RecoveryDeps } from './claim.ts';
import { isApplied } from './drain.ts';
import type { Lineage } from './lineage.ts';
import { readRows } from './rows.ts';

export type CopyPlan =
  /** Redis stands at the head: nothing to do. */
  | { readonly what: 'nothing' }
  | { readonly what: 'newer'; readonly than: EntryKey }
  | { readonly what: 'everything'; readonly because: string };

export interface Copied {
  readonly products: number;
  readonly cells: number;
  readonly records: number;
}

/** The position that meta had when the lane was claimed, and what lived in Redis then. */
export type BeforeCopy = EntryKey & Pick<Extract<ClaimReply, { claimed: true }>, 'hasUnseenHolds'>;

export async function planCopy(
  deps: RecoveryDeps,
  lineage: Lineage['kind'],
  before: BeforeCopy,
  head: EntryKey & Pick<LanePosition, 'timeMs'>,
): Promise<CopyPlan> {
  if (lineage === 'fork') {
    return {
      what: 'everything',
      because: `Redis holds a fork, which ends at ${showPlace(before)}`,
    };
  }
  if (before.seq === 0) {
    return { what: 'everything', because: 'Redis is empty, or a copy died half way' };
  }
  if (isSameEntry(before, head)) return { what: 'nothing' };
  if (!(await isApplied(deps.pool, deps.lane, before))) {
    return { what: 'everything', because: `PostgreSQL never had ${showPlace(before)}` };
  }
  if (generationOf(await laneTimeOf(deps, before)) !== generationOf(head.timeMs)) {
    return { what: 'everything', because: `${showPlace(before)} is of another day` };
  }
  if (before.hasUnseenHolds) {
    return {
      what: 'everything',
      because: 'Redis has holds of days ago, which may have ended since',
    };
  }
  return { what: 'newer', than: before };
}

/** Of an entry that PostgreSQL has applied, ms. */
async function laneTimeOf({ pool, lane }: RecoveryDeps, key: EntryKey): Promise<number> {
  const { rows } = await pool.query<{ time_ms: number }>(
    'SELECT time_ms FROM entries WHERE lane = $1 AND epoch = $2 AND seq = $3 AND nonce = $4',
    [lane, key.epoch, key.seq, key.nonce],
  );
  return rows[0]?.time_ms ?? Number.NaN;
}

/** Drops all of the lane but its meta; the first call forgets meta's position. */
export async function wipe(deps: RecoveryDeps, claim: Claim): Promise<{ readonly calls: number }> {
  for (let calls = 1; ; calls++) {
    await claim.stay();
    const { reply, more } = await deps.state.wipe(claim.term, claim.replid);
    claim.require(reply);
    deps.crashPoint('recovery.in_wipe');
    if (!more) return { calls };
  }
}

/**
 * Chunks that are on their way to Redis at once: one that it works on, and one that waits for it.
 * More would only make Redis's other clients wait longer.
 */
const IN_FLIGHT_MAX = 2;

/** `onCopied` is told after each chunk what there is so far. */
export async function copyRows(
  deps: RecoveryDeps,
  claim: Claim,
  plan: Exclude<CopyPlan, { what: 'nothing' }>,
  head: EntryKey,
  onCopied: (copied: Copied) => void = () => undefined,
): Promise<Copied> {
  const { lane, pool, state } = deps;
  const newerThan = plan.what === 'newer' ? plan.than : undefined;
  let copied: Copied = { products: 0, cells: 0, records: 0 };
  const writing: { readonly chunk: RestoreChunk; readonly reply: Promise<RecoveryReply> }[] = [];
  const written = async () => {
    const oldest = writing.shift();
    if (oldest === undefined) return;
    claim.require(await oldest.reply);
    copied = sum(copied, oldest.chunk);
    onCopied(copied);
    deps.crashPoint('recovery.in_copy');
  };
  for await (const chunk of readRows(pool, { lane, head, newerThan })) {
    await claim.stay();
    if (writing.length === IN_FLIGHT_MAX) await written();
    const reply = state.restore(claim.term, claim.replid, chunk);
    // Whoever awaits it sees the error; until then it must not count as unhandled.
    reply.catch(() => undefined);
    writing.push({ chunk, reply });
  }
  while (writing.length > 0) await written();
  return copied;
}

function sum(a: Copied, b: Copied): Copied {
  return {
    products: a.products + b.products,
    cells: a.cells + b.cells,
    records: a.records + b.records,
  };
}
