/**
 * From a lane's stream to Kafka, in order, at least once; and the watermark `logged`.
 *
 * States, and what is true in each:
 * - no session:  nothing is known. The next turn begins at PostgreSQL's position: at the start, at
 *                each new term, and after the lane was seen closed.
 * - unproven:    what was sent since `anchor` is in the log without anything between, but a fence
 *                may stand before it. Nothing is marked as logged. PostgreSQL proves it: when it has
 *                consumed everything before `anchor` and its term is ours, no fence stands there.
 * - proven:      every record that we sent is valid, and so is the next one if it lands at `next`.
 *                One that lands elsewhere begins a new anchor.
 *
 * A relay that is a zombie sends under a term that is over: its records are void for every
 * consumer, and it can prove nothing, because a fence stands before its anchor.
 */
import type { BaseLogger } from 'pino';
import { TAIL_BYTES } from '../domain/script-limits.ts';
import { DecodeError } from '../events/bytes.ts';
import { decodeEntry } from '../events/entry-codec.ts';
import { Demand } from '../log/demand.ts';
import { Latest } from '../log/latest.ts';
import { cutByBytes, type LogWriter } from '../log/log-writer.ts';
import { Backoff, pause } from '../log/pause.ts';
import { isSameEntry, isSamePlace, type Place, showPlace } from '../log/place.ts';
import { trimAll } from '../log/trim.ts';
import type { Pool } from '../postgres/pool.ts';
import { type LanePosition, readPosition } from '../postgres/position.ts';
import type { LaneState, LaneTail, StreamEntry } from '../redis/lane-state.ts';
import { type CrashPoint, noCrashPoint } from '../runtime/crash-point.ts';

export interface RelayOptions {
  readonly pool: Pool;
  readonly lane: number;
  readonly state: Pick<LaneState, 'tail' | 'mark' | 'trim'>;
  readonly writer: LogWriter;
  /** Whether somebody waits for what stands in the stream; absent: nobody does. */
  readonly demand?: Demand;
  readonly log: Pick<BaseLogger, 'info' | 'warn' | 'error'>;
  readonly metrics?: RelayMetrics;
  readonly crash?: CrashPoint;
  readonly limits?: Partial<RelayLimits>;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

export interface RelayLimits {
  /** Entries that are read from the stream at a time. */
  readonly entriesMax: number;
  /** From the beginning of one look at the stream to that of the next, while nobody waits for it. */
  readonly lookEveryMs: number;
  /** The same while somebody waits for what is not sent. */
  readonly demandedMs: number;
  /** The same after a look that found entries of several callers, but not as many as it may read. */
  readonly gatherMs: number;
  /** How long a lane is left alone that is closed, or not ours to relay. */
  readonly silentMs: number;
  /** How often PostgreSQL is asked whether the anchor is proven. */
  readonly proveEveryMs: number;
  readonly trimEveryMs: number;
  /** What is younger stays, lane time: an audit follows the stream, and an entry may come each second. */
  readonly trimMarginMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
}

const LIMITS: RelayLimits = {
  // Where entries are great, a look gives fewer: TAIL_BYTES of them (domain/script-limits.ts).
  entriesMax: 64,
  // Each look costs Redis some 50 us.
  lookEveryMs: 50,
  demandedMs: 5,
  // Where several callers are at work, what they do is carried together: most of what an append
  // costs relay, broker and persister it costs however little is in it (README).
  gatherMs: 10,
  silentMs: 50,
  proveEveryMs: 10,
  trimEveryMs: 1_000,
  trimMarginMs: 10_000,
  backoff: { firstMs: 50, maxMs: 1_000 },
};

/** What one caller leaves from one look to the next: its reserve, and its commit. */
const ENTRIES_OF_ONE = 2;

export interface RelayMetrics {
  readonly sent: (sent: { entries: number; bytes: number; durationMs: number }) => void;
  /** A record landed elsewhere than behind our last: nothing counts as logged until it is proven. */
  readonly unproven: () => void;
  readonly failed: (error: unknown) => void;
}

const NO_METRICS: RelayMetrics = {
  sent: () => undefined,
  unproven: () => undefined,
  failed: () => undefined,
};

export type RelayDid =
  | { readonly did: 'sent'; readonly entries: number; readonly isFull: boolean }
  | { readonly did: 'idle' }
  | { readonly did: 'silent'; readonly why: string };

export interface Relay {
  /** At most one read of the stream, and its produces. Throws when a store failed. */
  runOnce(): Promise<RelayDid>;
  /** Until the signal; does not throw. */
  run(signal: AbortSignal): Promise<void>;
}

export function createRelay(options: RelayOptions): Relay {
  return new LaneRelay(options);
}

interface Session {
  readonly term: number;
  /** Last entry that Kafka acknowledged; before the first, PostgreSQL's position. */
  cursor: Place;
  /** Offset behind our last record; undefined: not known. */
  next: bigint | undefined;
  /** First offset of what is unproven; undefined: proven. */
  anchor: bigint | undefined;
}

class LaneRelay implements Relay {
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #metrics: RelayMetrics;
  readonly #crash: CrashPoint;
  readonly #now: () => number;
  readonly #demand: Demand;
  readonly #marks: Latest<Place>;
  /** These two ask PostgreSQL; a PostgreSQL that hangs must not hold the sending. */
  readonly #proofs: Latest<Session>;
  readonly #trims: Latest<void>;
  #session: Session | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #trimmedAt = Number.NEGATIVE_INFINITY;
  /** Where a stream was found that does not continue PostgreSQL; told at the second time. */
  #misfit: Place | undefined;

  constructor(options: RelayOptions) {
    const { lane, log, pool, state, crash = noCrashPoint } = options;
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#metrics = options.metrics ?? NO_METRICS;
    this.#crash = crash;
    this.#now = options.now ?? (() => performance.now());
    this.#demand = options.demand ?? new Demand();
    this.#marks = new Latest<Place>({
      act: async (at) => {
        crash('relay.before_mark');
        await state.mark('logged', at);
        crash('relay.after_mark');
      },
      onError: (error) => log.warn({ err: error, lane }, 'watermark not published, will retry'),
      isSame: isSamePlace,
    });
    this.#proofs = new Latest<Session>({
      act: async (session) => this.#prove(session, await readPosition(pool, lane)),
      onError: (error) =>
        log.warn({ err: error, lane }, 'PostgreSQL does not answer, nothing new counts as logged'),
    });
    this.#trims = new Latest<void>({
      act: async () => {
        const { epoch, seq } = await readPosition(pool, lane);
        await trimAll(state, { epoch, seq }, this.#limits.trimMarginMs);
        crash('relay.after_trim');
      },
      onError: (error) => log.warn({ err: error, lane }, 'lane log not trimmed, will retry'),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { lane, log } = this.#options;
    const backoff = new Backoff(this.#limits.backoff);
    while (!signal.aborted) {
      const startedAt = this.#now();
      try {
        const did = await this.runOnce();
        backoff.reset();
        await this.#restAfter(did, startedAt, signal);
      } catch (error) {
        const retryInMs = backoff.next();
        log.warn({ err: error, lane, retry_in_ms: retryInMs }, 'relay failed, will retry');
        await pause(retryInMs, signal);
      }
    }
    await Promise.all([this.#marks, this.#proofs, this.#trims].map((each) => each.settled()));
  }

  /** Until the next look is due, or sooner when somebody begins to wait for what it would bring. */
  async #restAfter(done: RelayDid, startedAt: number, signal: AbortSignal): Promise<void> {
    const { demandedMs, gatherMs, lookEveryMs, silentMs } = this.#limits;
    if (done.did === 'silent') return pause(silentMs, signal);
    // More may stand behind a full read.
    if (done.did === 'sent' && done.isFull) return;
    const isOfOne = done.did === 'idle' || done.entries <= ENTRIES_OF_ONE;
    const soonMs = isOfOne ? demandedMs : gatherMs;
    while (!signal.aborted) {
      const leftMs = startedAt + (this.#isAwaited() ? soonMs : lookEveryMs) - this.#now();
      if (leftMs <= 0) return;
      await this.#demand.pause(leftMs, signal);
    }
  }

  /** For something to be sent, or for what was sent to be proven. */
  #isAwaited(): boolean {
    const session = this.#session;
    if (session === undefined) return false;
    return session.anchor !== undefined || this.#demand.isBeyond(session.cursor);
  }

  async runOnce(): Promise<RelayDid> {
    try {
      const begun = this.#session ?? (await this.#begin());
      if (typeof begun === 'string') return this.#silent(begun);
      this.#session = begun;
      this.#askForProof(begun);
      this.#mark(begun);
      this.#trim();
      return await this.#relay(begun);
    } catch (error) {
      this.#metrics.failed(error);
      throw error;
    }
  }

  /** A session at PostgreSQL's position, or why there is none. */
  async #begin(): Promise<Session | string> {
    const { pool, lane, state } = this.#options;
    const position = await readPosition(pool, lane);
    const tail = await state.tail(position, 1);
    const isOver = tail.term < position.term;
    const why =
      notOurs(tail) ??
      (isOver ? 'the log has a higher term' : this.#misfits(position, tail.entries[0]));
    if (why !== undefined) return why;
    const { epoch, seq } = position;
    return { term: tail.term, cursor: { epoch, seq }, next: undefined, anchor: undefined };
  }

  /** Sent all the same, a stream that does not continue the log would stop every consumer. */
  #misfits(position: LanePosition, first: StreamEntry | undefined): string | undefined {
    if (first === undefined || continues(position, first)) {
      this.#misfit = undefined;
      return undefined;
    }
    // Once may be a position that moved, and a stream that was trimmed, between two looks.
    const isSecond = this.#misfit !== undefined && isSamePlace(this.#misfit, position);
    this.#misfit = position;
    const why = `the stream goes on at ${showPlace(first)}, which does not follow PostgreSQL's position ${showPlace(position)}`;
    if (isSecond) this.#options.log.error({ lane: this.#options.lane }, why);
    return why;
  }

  async #relay(session: Session): Promise<RelayDid> {
    const tail = await this.#options.state.tail(session.cursor, this.#limits.entriesMax);
    const why = notOurs(tail) ?? (tail.term === session.term ? undefined : 'the term is new');
    if (why !== undefined) return this.#silent(why);
    this.#crash('relay.after_read');
    for (const some of cutByBytes(tail.entries, ({ bytes }) => bytes.length)) {
      await this.#send(session, some);
    }
    const entries = tail.entries.length;
    if (entries === 0) return { did: 'idle' };
    const isFull = entries >= this.#limits.entriesMax || sizeOf(tail.entries) >= TAIL_BYTES;
    return { did: 'sent', entries, isFull };
  }

  async #send(session: Session, entries: readonly StreamEntry[]): Promise<void> {
    const { lane, writer } = this.#options;
    const last = entries.at(-1);
    if (last === undefined) return;
    const values = entries.map(({ bytes }) => bytes);
    const startedAt = this.#now();
    const expected = session.next;
    // Until it is acknowledged nobody knows whether it landed.
    session.next = undefined;
    this.#crash('relay.before_produce');
    const offset = await writer.append(lane, session.term, values);
    this.#crash('relay.after_produce');
    session.next = offset + BigInt(entries.length);
    session.cursor = { epoch: last.epoch, seq: last.seq };
    if (offset !== expected) {
      session.anchor = offset;
      this.#metrics.unproven();
      this.#askForProof(session);
    }
    const bytes = sizeOf(entries);
    const durationMs = this.#now() - startedAt;
    this.#metrics.sent({ entries: entries.length, bytes, durationMs });
    this.#mark(session);
  }

  #askForProof(session: Session): void {
    const now = this.#now();
    if (session.anchor === undefined || now - this.#askedAt < this.#limits.proveEveryMs) return;
    this.#askedAt = now;
    this.#proofs.offer(session);
  }

  /** Does a fence stand before the anchor? PostgreSQL has consumed the log up to its position. */
  #prove(session: Session, position: LanePosition): void {
    const { anchor, term } = session;
    if (position.term > term) {
      // Our term is over. Whether the lane goes on under a newer one is for the lane to say.
      if (this.#session === session) this.#session = undefined;
    } else if (anchor !== undefined && position.term === term && position.offset >= anchor) {
      session.anchor = undefined;
      this.#mark(session);
    }
  }

  #mark({ anchor, next, cursor }: Session): void {
    if (anchor === undefined && next !== undefined) this.#marks.offer(cursor);
  }

  #trim(): void {
    const now = this.#now();
    if (now - this.#trimmedAt < this.#limits.trimEveryMs) return;
    this.#trimmedAt = now;
    this.#trims.offer();
  }

  #silent(why: string): RelayDid {
    this.#session = undefined;
    return { did: 'silent', why };
  }
}

function sizeOf(entries: readonly StreamEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** Why the lane may not be relayed as it is. */
function notOurs(tail: LaneTail): string | undefined {
  if (!tail.exists) return 'the lane is empty';
  if (!tail.open) return "the lane is closed: its tail is recovery's";
  if (!tail.replidMatches) return 'the lane was opened on another node';
  return undefined;
}

function continues(position: LanePosition, first: StreamEntry): boolean {
  try {
    return isSameEntry(decodeEntry(first.bytes).predecessor, position);
  } catch (error) {
    // The persister says what is wrong with it, and parks the lane.
    if (error instanceof DecodeError) return true;
    throw error;
  }
}
