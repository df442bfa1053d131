/**
 * Recovery of one lane (design section 7): afterwards Redis = log = PostgreSQL, under a new term,
 * and the lane is open. A crash anywhere is answered by starting again at the first step, with the
 * next term; nothing is resumed in the middle, because every step finds out for itself what is done.
 *
 *   1 term       the next number of the registry; the lane is `recovering`
 *   2 claim      meta in Redis is closed under the term, on the node that answered
 *   3 fence      what is written under a lower term behind the fence is void; PostgreSQL carries ours
 *   4 lineage    tail, nothing, fork, or PostgreSQL behind; a tail is relayed under our term
 *   5 copy       PostgreSQL's rows go back: the newer ones, or all over an emptied lane
 *   6 replicate  the copied state is on a majority of the data nodes, where there are replicas
 *   7 registry   open
 *   8 open       meta opens behind the `opened` entry, the first of the epoch that is the term
 *
 * Of step 6 of the design liens and floors have nothing to do where there is one lane. It is bounded,
 * and no condition of safety: a replica that lacks the copied rows and is promoted is fenced, and
 * recovered, like any other node.
 *
 * True throughout: scripts run only under our claim (term and replid); between the steps 3 and 8
 * nobody but us can move PostgreSQL's position; the registry opens before meta does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntryKey } from '../engine/events/entry.ts';
import { isSameEntry, showPlace } from '../engine/log/place.ts';
import type { LanePosition } from '../engine/postgres/position.ts';
import type { ClaimReply } from '../engine/redis/lane-state.ts';
import { Claim, type RecoveryDeps, RecoveryEnded, type Running, requireNewest } from './claim.ts';
import { type BeforeCopy, type CopyPlan, copyRows, planCopy, wipe } from './copy-back.ts';
import { type CopyProgress, ProgressMeter } from './copy-progress.ts';
import type { RecoveryCause } from './detect.ts';
import { findLineage, relayTail } from './drain.ts';
import { type Beginning, Journal, type RecoveryStep } from './journal.ts';
import type { RegistryRow } from './registry.ts';
import { countRows } from './rows.ts';
import { SignOfLife } from './sign-of-life.ts';
import { showTerm } from './term.ts';
import { describeForeignClaim } from './unpark.ts';

export interface RecoveryReport {
  /** `superseded`: another recovery has won, or the ground has changed and one must start again. */
  readonly outcome: 'opened' | 'superseded' | 'parked';
  /** Undefined: not even a term was had. */
  readonly term?: number;
  readonly cause: RecoveryCause;
  /** Why it did not open. */
  readonly reason?: string;
  readonly steps: readonly RecoveryStep[];
}

/** What the watcher knows of the lane's trouble. */
export type Detection = Omit<Beginning, 'leader'>;

/**
 * Recovers the lane, which was `seen` to need it. Throws when a store fails or nothing moves any
 * more; the number is burnt then, and the lane as closed as before.
 */
export async function recover(
  deps: RecoveryDeps,
  seen: RegistryRow,
  detection: Detection,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  const { cause } = detection;
  signal.throwIfAborted();
  const term = await deps.registry.nextTerm(seen);
  if (term === undefined) {
    const reason = 'another recovery took the next term';
    return { outcome: 'superseded', cause, reason, steps: [] };
  }
  const journal = new Journal(deps.pool, deps.lane, term);
  await journal.begin({ ...detection, leader: deps.leader });
  deps.crashPoint('recovery.after_term');
  try {
    await takeSteps(deps, term, journal, signal);
    await journal.end('opened');
    return { outcome: 'opened', term, cause, steps: journal.steps };
  } catch (error) {
    const ended = error instanceof RecoveryEnded ? error : await whyEnded(deps, term);
    if (ended === undefined) {
      const reason = error instanceof Error ? error.message : String(error);
      // PostgreSQL may be what failed; the error itself is what counts.
      await journal.end(`failed: ${reason}`).catch(() => undefined);
      throw error;
    }
    const reason = ended.message;
    const isParked = ended.outcome === 'parked' && (await deps.registry.park(deps.lane, term));
    const outcome = isParked ? 'parked' : 'superseded';
    await journal.end(`${outcome}: ${reason}`);
    return { outcome, term, cause, reason, steps: journal.steps };
  }
}

/** A store that refused because another recovery has won is no failure; the registry knows. */
async function whyEnded(deps: RecoveryDeps, term: number): Promise<RecoveryEnded | undefined> {
  try {
    requireNewest(await deps.registry.read(deps.lane), term, ['recovering', 'open']);
  } catch (error) {
    if (error instanceof RecoveryEnded) return error;
  }
  return undefined;
}

async function takeSteps(
  deps: RecoveryDeps,
  term: number,
  journal: Journal,
  signal: AbortSignal,
): Promise<void> {
  const life = new SignOfLife(() => deps.registry.touch(deps.lane, term), deps.limits);
  try {
    const { claim, before } = await takeClaim(deps, term, journal, { signal, life });
    await journal.node(deps.state.address(), claim.replid);
    const fenced = await fenceLog(deps, claim, journal);
    const { head, lineage } = await drain(deps, claim, journal, fenced);
    await copyBack(deps, claim, journal, { lineage, before, head });
    await replicate(deps, claim, journal);
    await openRegistry(deps, claim, journal, head);
    await openLane(deps, claim, journal, head);
  } finally {
    life.end();
  }
}

/** Step 2. Closes the lane and freezes its time; an empty Redis can be claimed like any other. */
async function takeClaim(deps: RecoveryDeps, term: number, journal: Journal, running: Running) {
  const reply = await journal.step(
    'claim',
    async () => {
      const answer = await claimWhenWritable(deps, term, running);
      if (!answer.claimed) throw await whyRefused(deps, term, answer.term);
      return answer;
    },
    ({ replid, last, timeMs }) => ({ replid, last: showPlace(last), lane_time_ms: timeMs }),
  );
  deps.crashPoint('recovery.after_claim');
  return {
    claim: new Claim(deps, term, reply.replid, running),
    before: { ...reply.last, hasUnseenHolds: reply.hasUnseenHolds },
  };
}

/**
 * A primary that was just promoted takes no writes before a replica follows it (min-replicas-to-write).
 * To wait for that here spares a number, and a line of the timeline, for each try.
 */
async function claimWhenWritable(
  { state, limits }: RecoveryDeps,
  term: number,
  { signal, life }: Running,
): Promise<ClaimReply> {
  const endMs = performance.now() + limits.replicasMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await state.claim(term);
    } catch (error) {
      const lacksReplicas = error instanceof Error && error.message.startsWith('NOREPLICAS');
      if (!lacksReplicas || performance.now() >= endMs) throw error;
      life.getOn();
      await sleep(limits.pollMs, undefined, { signal });
    }
  }
}

/**
 * A newer claim is a newer recovery's, which the registry knows. Where it does not, the registry is
 * an older copy of the one that numbered this Redis: a person has to say which of the two is right.
 */
async function whyRefused(
  deps: RecoveryDeps,
  term: number,
  claimed: number,
): Promise<RecoveryEnded> {
  const { term: newest } = await deps.registry.read(deps.lane);
  if (newest >= claimed) {
    return new RecoveryEnded('superseded', `Redis is claimed by term ${showTerm(claimed)}`);
  }
  return new RecoveryEnded('parked', describeForeignClaim(claimed, term));
}

/** Step 3. From here on PostgreSQL's position is final for all lower terms. */
async function fenceLog(deps: RecoveryDeps, claim: Claim, journal: Journal): Promise<LanePosition> {
  await journal.step('fence', async () => {
    await claim.keep();
    await inTime(deps.log.fence(deps.lane, claim.term), deps.limits.fenceMs);
  });
  deps.crashPoint('recovery.after_fence');
  const position = await journal.step(
    'fence_applied',
    () => claim.whenPosition(`term ${showTerm(claim.term)}`, (p) => p.term === claim.term),
    (p) => ({ position: showPlace(p) }),
  );
  deps.crashPoint('recovery.after_fence_applied');
  return position;
}

/** A fence that lands later is one of a burnt term: nothing stands under it. */
async function inTime(fenced: Promise<void>, ms: number): Promise<void> {
  const late = Symbol('late');
  const waiting = new AbortController();
  const timeout = sleep(ms, late, { signal: waiting.signal }).catch(() => undefined);
  const first = await Promise.race([fenced, timeout]).finally(() => waiting.abort());
  if (first !== late) return;
  fenced.catch(() => undefined);
  throw new Error(`the log did not take the fence within ${ms} ms: can this process reach it?`);
}

/** Step 4. The head is read once, here; `opened` will name it, never one that is read again. */
async function drain(
  deps: RecoveryDeps,
  claim: Claim,
  journal: Journal,
  position: LanePosition,
): Promise<{ head: LanePosition; lineage: 'tail' | 'nothing' | 'fork' }> {
  const lineage = await journal.step(
    'lineage',
    () => findLineage(deps, claim, position),
    (found) => ({ verdict: found.kind, ...(found.kind === 'tail' ? { tail: found.count } : {}) }),
  );
  deps.crashPoint('recovery.after_lineage');
  if (lineage.kind !== 'tail') return { head: position, lineage: lineage.kind };
  const head = await journal.step(
    'relay',
    async () => {
      await relayTail(deps, claim, lineage);
      return claim.whenPosition(`the tail up to ${showPlace(lineage.head)}`, (p) =>
        isSameEntry(p, lineage.head),
      );
    },
    (p) => ({ head: showPlace(p) }),
  );
  deps.crashPoint('recovery.after_relay');
  return { head, lineage: 'tail' };
}

/** Step 5. Now Redis = log = PostgreSQL. */
async function copyBack(
  deps: RecoveryDeps,
  claim: Claim,
  journal: Journal,
  known: { lineage: 'tail' | 'nothing' | 'fork'; before: BeforeCopy; head: LanePosition },
): Promise<void> {
  const plan = await planCopy(deps, known.lineage, known.before, known.head);
  if (plan.what === 'everything') {
    await journal.step(
      'wipe',
      () => wipe(deps, claim),
      ({ calls }) => ({ calls, because: plan.because }),
    );
    deps.crashPoint('recovery.after_wipe');
  }
  await journal.step(
    'copy',
    async () => (plan.what === 'nothing' ? {} : copyTold(deps, claim, journal, plan, known.head)),
    (copied) => ({ what: plan.what, ...copied }),
  );
  deps.crashPoint('recovery.after_copy');
}

/** Whoever waits is told once a second how far it is. */
async function copyTold(
  deps: RecoveryDeps,
  claim: Claim,
  journal: Journal,
  plan: Exclude<CopyPlan, { what: 'nothing' }>,
  head: EntryKey,
) {
  const meter = new ProgressMeter((progress: CopyProgress) => {
    journal.progress(progress);
    deps.onProgress(progress);
  });
  // Counting a million rows takes a while, too: the copy does not wait for it.
  if (plan.what === 'everything') {
    const counting = countRows(deps.pool, { lane: deps.lane, head });
    counting.then(
      (total) => meter.expect(total),
      () => undefined,
    );
  }
  return copyRows(deps, claim, plan, head, ({ products, cells, records }) =>
    meter.at(products + cells + records),
  );
}

/** Step 6. Else a second failover would find replicas that have nothing of what was copied. */
async function replicate(deps: RecoveryDeps, claim: Claim, journal: Journal): Promise<void> {
  const wanted = await deps.quorum();
  if (wanted === 0) return;
  await journal.step(
    'replicate',
    async () => {
      await claim.stay();
      return deps.state.replicate(wanted, deps.limits.replicateMs);
    },
    (reached) => ({ wanted, reached }),
  );
  deps.crashPoint('recovery.after_replicate');
}

/** Step 7. Before meta opens, so that no epoch is live that the registry does not know. */
async function openRegistry(
  deps: RecoveryDeps,
  claim: Claim,
  journal: Journal,
  head: EntryKey,
): Promise<void> {
  await journal.step('registry', async () => {
    const { position } = await claim.keep();
    if (await deps.registry.open(deps.lane, claim.term, head)) return;
    throw new RecoveryEnded(
      'superseded',
      `the registry would not open: PostgreSQL stands at ${showPlace(position)}, the head was ${showPlace(head)}`,
    );
  });
  deps.crashPoint('recovery.after_registry');
}

/** Step 8. One script: clock offset, the `opened` entry, meta open. */
async function openLane(
  deps: RecoveryDeps,
  claim: Claim,
  journal: Journal,
  head: LanePosition,
): Promise<void> {
  await journal.step(
    'open',
    async () => {
      const nonce = deps.random(8);
      claim.require(await deps.state.open(claim.term, claim.replid, head, nonce, head.timeMs));
    },
    () => ({ epoch: claim.term, predecessor: showPlace(head) }),
  );
  deps.crashPoint('recovery.after_open');
}
