/** What came of races between a commit and the expiry of its hold: pure, from answers and log. */
import type { DecodedEntry } from '../auditor/decode.ts';
import type { Asked } from './asked.ts';
import { hasOutcome } from './asked.ts';
import type { FaultViolation } from './verdict.ts';

export interface RaceCount {
  readonly races: number;
  /** Won by the commit. */
  readonly committed: number;
  /** Won by the expiry. */
  readonly expired: number;
  /** Whose hold the log ends not at all. */
  readonly neither: number;
  /** Whose hold the log ends more than once. */
  readonly both: number;
  /** Whose commit was asked for when either could still win: see `contestedOf`. */
  readonly contested: number;
}

/** A commit, and when its hold was to run out. */
export interface Race {
  readonly asked: Asked;
  readonly deadlineMs: number;
}

/** How often the log ends a hold, by id. */
export type Ends = ReadonlyMap<string, { readonly committed: number; readonly expired: number }>;

export function endsInLog(entries: readonly DecodedEntry[]): Ends {
  const ends = new Map<string, { committed: number; expired: number }>();
  for (const { changes } of entries) {
    for (const change of changes) {
      if (change.type !== 'committed' && change.type !== 'expired') continue;
      const of = ends.get(change.id) ?? { committed: 0, expired: 0 };
      of[change.type] += 1;
      ends.set(change.id, of);
    }
  }
  return ends;
}

/** Each race has one winner in the log, and it is the one that the client heard of. */
export function judgeRaces(
  races: readonly Race[],
  ends: Ends,
): { readonly count: RaceCount; readonly violations: FaultViolation[] } {
  const violations: FaultViolation[] = [];
  const count = { committed: 0, expired: 0, neither: 0, both: 0 };
  for (const { asked } of races) {
    const { committed, expired } = ends.get(asked.id ?? '') ?? { committed: 0, expired: 0 };
    const tell = (what: string): void => {
      violations.push({ invariant: 'I7', where: `race of ${asked.id}`, what });
    };
    if (committed + expired === 0) {
      count.neither += 1;
      tell('the log ends its hold neither by a commit nor by expiry');
      continue;
    }
    if (committed + expired > 1) {
      count.both += 1;
      tell(`the log commits it ${committed} times and lets it expire ${expired} times`);
      continue;
    }
    const winner = committed === 1 ? 'committed' : 'expired';
    count[winner] += 1;
    const heard = new Set(asked.attempts.flatMap(heardIn));
    if (heard.size === 1 && heard.has(winner)) continue;
    tell(`it is ${winner}, and clients heard ${[...heard].join(' and ') || 'nothing'}`);
  }
  return { count: { races: races.length, ...count, contested: contestedOf(races) }, violations };
}

/** What settles it for a client; "nothing was done" and "unknown" do not. */
function heardIn({ result }: Asked['attempts'][number]): string[] {
  if (result?.outcome === 'ok') return ['committed'];
  return result?.outcome === 'refused' ? [result.code] : [];
}

/**
 * Of the commits of one deadline, those asked for between the first that lost and the last that won:
 * where the moment of asking alone decided, there are none.
 */
function contestedOf(races: readonly Race[]): number {
  const bounds = new Map<number, { firstLostMs: number; lastWonMs: number }>();
  for (const { asked, deadlineMs } of races) {
    const of = bounds.get(deadlineMs) ?? { firstLostMs: Infinity, lastWonMs: -Infinity };
    if (hasOutcome(asked, 'ok')) of.lastWonMs = Math.max(of.lastWonMs, asked.firstMs);
    else of.firstLostMs = Math.min(of.firstLostMs, asked.firstMs);
    bounds.set(deadlineMs, of);
  }
  return races.filter(({ asked, deadlineMs }) => {
    const of = bounds.get(deadlineMs);
    return of !== undefined && asked.firstMs >= of.firstLostMs && asked.firstMs <= of.lastWonMs;
  }).length;
}

export function sumOfRaces(counts: readonly RaceCount[]): RaceCount {
  const sum = (of: (count: RaceCount) => number): number =>
    counts.reduce((total, count) => total + of(count), 0);
  return {
    races: sum(({ races }) => races),
    committed: sum(({ committed }) => committed),
    expired: sum(({ expired }) => expired),
    neither: sum(({ neither }) => neither),
    both: sum(({ both }) => both),
    contested: sum(({ contested }) => contested),
  };
}
