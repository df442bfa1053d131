/**
 * Step 5: PostgreSQL's rows go back into Redis. Only those that are newer than what Redis has, where
 * Redis is known to stand at an applied entry; else everything, over an emptied lane.
 *
 * Everything is never copied over what is there: a hold that PostgreSQL does not know would stay,
 * and when it expires the sweeper would give back units that were never taken.
 */
import type { EntryKey } from '../engine/events/entry.ts';
import { isSameEntry, showPlace } from '../engine/log/place.ts';
import type { RecoveryReply } from '../engine/redis/lane-state.ts';
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

/** `before` is the position that meta had when the lane was claimed. */
export async function planCopy(
  deps: RecoveryDeps,
  lineage: Lineage['kind'],
  before: EntryKey,
  head: EntryKey,
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
  return { what: 'newer', than: before };
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

export async function copyRows(
  deps: RecoveryDeps,
  claim: Claim,
  plan: Exclude<CopyPlan, { what: 'nothing' }>,
  head: EntryKey,
): Promise<Copied> {
  const { lane, pool, state } = deps;
  const newerThan = plan.what === 'newer' ? plan.than : undefined;
  const copied = { products: 0, cells: 0, records: 0 };
  // PostgreSQL reads the next chunk while Redis writes this one.
  let writing: Promise<RecoveryReply> = Promise.resolve('done');
  const written = async () => {
    claim.require(await writing);
    deps.crashPoint('recovery.in_copy');
  };
  for await (const chunk of readRows(pool, { lane, head, newerThan })) {
    await claim.stay();
    await written();
    writing = state.restore(claim.term, claim.replid, chunk);
    // Whoever awaits it sees the error; until then it must not count as unhandled.
    writing.catch(() => undefined);
    copied.products += chunk.products.length;
    copied.cells += chunk.cells.length;
    copied.records += chunk.records.length;
  }
  await written();
  return copied;
}
