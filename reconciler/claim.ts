/**
 * What one recovery works with: its term, the node that it claimed, and the ways in which it may
 * end before its last step. A step that finds the ground gone from under it throws RecoveryEnded;
 * `recover` turns that into an outcome. Any other exception is a store that failed, or a bug.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FencedLog } from '../engine/log/event-log.ts';
import { showPlace } from '../engine/log/place.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import type { LanePosition } from '../engine/postgres/position.ts';
import type { LaneState, LaneTail, RecoveryReply } from '../engine/redis/lane-state.ts';
import type { CrashPoint } from '../engine/runtime/crash-point.ts';
import type { CopyProgress } from './copy-progress.ts';
import type { LaneRegistryState, Registry, RegistryRow } from './registry.ts';
import type { SignOfLife } from './sign-of-life.ts';
import { showTerm, timelineOf } from './term.ts';

export interface RecoveryLimits {
  /** Entries of the stream that are read, and relayed, at a time. */
  readonly entriesMax: number;
  /** How often PostgreSQL's position is looked at while recovery waits for it. */
  readonly pollMs: number;
  /** How long PostgreSQL's position may stand still before a wait for it gives up. */
  readonly stalledMs: number;
  /** How often the registry is read within a long step; the scripts check the claim each time. */
  readonly keepMs: number;
  /** Between two signs of life in the registry; nobody takes over from a recovery that gets on. */
  readonly touchMs: number;
  /** After so long without a piece of a step done it counts as hung. */
  readonly stuckMs: number;
  /** How long the log may take for the fence; then the turn goes to a watcher that may reach it. */
  readonly fenceMs: number;
  /** How long a claim waits for the replicas without which Redis takes no writes. */
  readonly replicasMs: number;
  /** How long opening waits for the copied state to be on a majority of the data nodes. */
  readonly replicateMs: number;
}

export const RECOVERY_LIMITS: RecoveryLimits = {
  entriesMax: 256,
  pollMs: 10,
  stalledMs: 30_000,
  keepMs: 100,
  touchMs: 250,
  // Redis's commands and a produce to Kafka give up after that.
  stuckMs: 5_000,
  // A fence takes milliseconds. Kafka away is away for every watcher; a cut may be ours alone.
  fenceMs: 2_000,
  // Sentinel sends the other replicas to the new primary one or two seconds after the promotion.
  replicasMs: 10_000,
  // A replica that follows the new primary confirms within milliseconds. One that Sentinel has yet to
  // send there is not worth a longer outage: the lane opens without it, and says so.
  replicateMs: 500,
};

export interface RecoveryDeps {
  readonly lane: number;
  /** Over one connection; a reconnect may lead to another node, which the scripts notice. */
  readonly state: LaneState;
  readonly log: FencedLog;
  readonly pool: Pool;
  readonly registry: Registry;
  /** Nonce of the `opened` entry: never from Redis, whose random repeats itself after a restart. */
  readonly random: (bytes: number) => Buffer;
  readonly crashPoint: CrashPoint;
  readonly limits: RecoveryLimits;
  /** Replicas that must have the copied state, so that they and the primary are a majority. */
  readonly quorum: () => number | Promise<number>;
  /** Told about once a second while many rows are copied. */
  readonly onProgress: (progress: CopyProgress) => void;
  /** host:pid, for people who read the timeline. */
  readonly leader: string;
}

/** `superseded`: another one has won, or has to try. `parked`: a person has to decide. */
export class RecoveryEnded extends Error {
  override readonly name = 'RecoveryEnded';
  readonly outcome: 'superseded' | 'parked';

  constructor(outcome: 'superseded' | 'parked', reason: string) {
    super(reason);
    this.outcome = outcome;
  }
}

/** What all steps of one recovery share. */
export interface Running {
  readonly signal: AbortSignal;
  readonly life: SignOfLife;
}

export class Claim {
  readonly term: number;
  readonly replid: string;
  readonly #deps: RecoveryDeps;
  readonly #signal: AbortSignal;
  readonly #life: SignOfLife;
  #keptMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RecoveryDeps, term: number, replid: string, running: Running) {
    this.#deps = deps;
    this.term = term;
    this.replid = replid;
    this.#signal = running.signal;
    this.#life = running.life;
  }

  /** Every reply of a recovery script passes through here. */
  require(reply: RecoveryReply): void {
    this.#life.getOn();
    if (reply === 'done') return;
    throw new RecoveryEnded(
      'superseded',
      `the claim of term ${showTerm(this.term)} was lost: Redis was restarted, promoted, or claimed by a newer recovery`,
    );
  }

  /** So does every look at the lane: `tail` answers on any node in any state. */
  requireOurs(tail: LaneTail): void {
    this.require(
      tail.term === this.term && tail.replidMatches && !tail.open ? 'done' : 'claim_lost',
    );
  }

  /** For every turn of what is long: `keep` now and then, and the signal always. */
  async stay(): Promise<void> {
    this.#signal.throwIfAborted();
    if (performance.now() - this.#keptMs >= this.#deps.limits.keepMs) await this.keep();
  }

  /** Checks that the recovery may go on at all. */
  async keep(): Promise<RegistryRow> {
    this.#signal.throwIfAborted();
    this.#keptMs = performance.now();
    const row = await this.#deps.registry.read(this.#deps.lane);
    requireNewest(row, this.term);
    this.#life.getOn();
    return row;
  }

  /** Waits until PostgreSQL's position is as wanted; gives the position. */
  async whenPosition(
    wanted: string,
    isReached: (position: LanePosition) => boolean,
  ): Promise<LanePosition> {
    const { pollMs, stalledMs } = this.#deps.limits;
    let before: LanePosition | undefined;
    let movedMs = performance.now();
    for (;;) {
      const { position } = await this.keep();
      if (isReached(position)) return position;
      if (before === undefined || hasMoved(before, position)) {
        before = position;
        movedMs = performance.now();
      }
      if (performance.now() - movedMs > stalledMs) {
        throw new Error(
          `PostgreSQL has stood at ${showPlace(position)} under term ${showTerm(position.term)} for ${stalledMs} ms, wanted was ${wanted}: is the persister running?`,
        );
      }
      await sleep(pollMs, undefined, { signal: this.#signal });
    }
  }
}

/** Throws RecoveryEnded unless the term may still be worked under. Step 7 makes it `open`. */
export function requireNewest(
  row: RegistryRow,
  term: number,
  states: readonly LaneRegistryState[] = ['recovering'],
): void {
  if (row.term !== term || !states.includes(row.state)) {
    throw new RecoveryEnded(
      'superseded',
      `the registry has term ${showTerm(row.term)} ${row.state}, this recovery has ${showTerm(term)}`,
    );
  }
  if (row.timeline > timelineOf(term)) {
    throw new RecoveryEnded(
      'superseded',
      `PostgreSQL was promoted to timeline ${row.timeline} while term ${showTerm(term)} recovered`,
    );
  }
  if (row.position.term > term) {
    throw new RecoveryEnded(
      'superseded',
      `PostgreSQL's position carries the newer term ${showTerm(row.position.term)}`,
    );
  }
  if (row.position.parked !== undefined) {
    throw new RecoveryEnded('parked', `the persister has stopped: ${row.position.parked}`);
  }
}

function hasMoved(a: LanePosition, b: LanePosition): boolean {
  return a.epoch !== b.epoch || a.seq !== b.seq || a.term !== b.term || a.offset !== b.offset;
}
