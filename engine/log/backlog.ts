/**
 * The backlog is what a lane's stream holds that PostgreSQL does not have yet. It cannot be trimmed, so
 * it has a bound; this file says how near it is, and what still passes. Pure.
 *
 * Levels. Each is entered at a share of the bound and left at a lower one, so that it does not flap:
 * - calm:  everything passes.
 * - alarm: everything passes, and an operator is told.
 * - full:  nothing is promised any more. What ends a hold still passes (commit, release, expiry):
 *          it was promised, it is paid for or gives units back, and it is bounded by the holds that live,
 *          because each ends once.
 * - hard:  at twice the bytes nothing is written; only look-ups pass. Age alone leads nowhere near it:
 *          what ends a hold makes no entry older.
 */
import type { Operation } from '../redis/operation.ts';

export const BACKLOG_LEVELS = ['calm', 'alarm', 'full', 'hard'] as const;
export type BacklogLevel = (typeof BACKLOG_LEVELS)[number];
const RANKS: Readonly<Record<BacklogLevel, number>> = { calm: 0, alarm: 1, full: 2, hard: 3 };

export interface BacklogBound {
  /** Of Redis's memory. */
  readonly bytesMax: number;
  /** Of the oldest entry that waits. */
  readonly ageMsMax: number;
}

export interface BacklogSize {
  readonly entries: number;
  /** Of Redis's memory; an estimate from samples. */
  readonly bytes: number;
  /** Since its oldest entry was written. */
  readonly ageMs: number;
}

export const EMPTY_BACKLOG: BacklogSize = { entries: 0, bytes: 0, ageMs: 0 };

interface Threshold {
  /** Shares of the bound. */
  readonly enter: number;
  readonly leave: number;
  readonly byAge: boolean;
}

const THRESHOLDS: Readonly<Record<Exclude<BacklogLevel, 'calm'>, Threshold>> = {
  alarm: { enter: 0.7, leave: 0.6, byAge: true },
  full: { enter: 1, leave: 0.8, byAge: true },
  hard: { enter: 2, leave: 1.8, byAge: false },
};

/** What a lane is asked; `stock`: a stock operation, or SKUs made known to it. */
export type LaneRequest = Operation['kind'] | 'stock' | 'expire';

/**
 * The level from which on it is refused. An extension promises anew, and without end. Cancel and ship
 * are about committed orders, of which there are more than live holds; they can wait.
 */
const REFUSED_FROM: Readonly<Record<LaneRequest, number>> = {
  reserve: RANKS.full,
  extend: RANKS.full,
  cancel: RANKS.full,
  ship: RANKS.full,
  stock: RANKS.full,
  commit: RANKS.hard,
  release: RANKS.hard,
  expire: RANKS.hard,
  inspect: Number.POSITIVE_INFINITY,
};

/** How full it is: 1 is the bound, of bytes or of age, whichever is nearer. */
export function shareOf(size: BacklogSize, { bytesMax, ageMsMax }: BacklogBound): number {
  return Math.max(size.bytes / bytesMax, size.ageMs / ageMsMax);
}

export function levelAfter(
  before: BacklogLevel,
  size: BacklogSize,
  bound: BacklogBound,
): BacklogLevel {
  const isAt = (level: BacklogLevel): boolean => {
    if (level === 'calm') return true;
    const { enter, leave, byAge } = THRESHOLDS[level];
    const share = byAge ? shareOf(size, bound) : size.bytes / bound.bytesMax;
    return share >= (RANKS[before] >= RANKS[level] ? leave : enter);
  };
  return BACKLOG_LEVELS.findLast(isAt) ?? 'calm';
}

/** Bytes at which the next level begins; beyond the last one there is none. */
export function nextLevelBytes(level: BacklogLevel, { bytesMax }: BacklogBound): number {
  const next = BACKLOG_LEVELS[RANKS[level] + 1];
  if (next === undefined || next === 'calm') return Number.POSITIVE_INFINITY;
  return THRESHOLDS[next].enter * bytesMax;
}

/** On the path of every request. */
export function passes(level: BacklogLevel, request: LaneRequest): boolean {
  return RANKS[level] < REFUSED_FROM[request];
}
