/**
 * The history by what was wanted: one `Asked` for each thing that a client wanted, with all the
 * attempts at it. What the checks ask of a history is answered here.
 */
import { type Attempt, KEY_PREFIX, type Line, type Outcome, type Verb } from './history.ts';

export interface Asked {
  readonly verb: Verb;
  readonly intent: string;
  readonly client: string;
  readonly lines: readonly Line[];
  readonly attempts: readonly Attempt[];
  /** The reservation, if any answer or request names it; never a bare key. */
  readonly id: string | undefined;
  readonly firstMs: number;
}

export function groupAttempts(attempts: readonly Attempt[]): Asked[] {
  const groups = new Map<string, Attempt[]>();
  for (const attempt of attempts) {
    const key = `${attempt.verb} ${attempt.intent}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [attempt]);
    else group.push(attempt);
  }
  return [...groups.values()].flatMap((group) => {
    const first = group[0];
    if (first === undefined) return [];
    const { verb, intent, client, lines = [], invokedMs } = first;
    return [{ verb, intent, client, lines, attempts: group, id: idOf(group), firstMs: invokedMs }];
  });
}

function idOf(group: readonly Attempt[]): string | undefined {
  for (const { result, id } of group) {
    if (result?.id !== undefined) return result.id;
    if (id !== undefined && !id.startsWith(KEY_PREFIX)) return id;
  }
  return undefined;
}

export function hasOutcome(asked: Asked, outcome: Outcome): boolean {
  return asked.attempts.some(({ result }) => result?.outcome === outcome);
}

/** Nothing that was heard excludes that it was, or still may be, done. */
export function mayBeDone({ attempts }: Asked): boolean {
  return attempts.some(
    ({ result }) => result === undefined || result.outcome === 'ok' || result.outcome === 'unknown',
  );
}

/** The levels of its oks. */
export function acknowledgedLevels({ attempts }: Asked): string[] {
  return attempts.flatMap(({ result }) =>
    result?.outcome === 'ok' && result.level !== undefined ? [result.level] : [],
  );
}

export function unitsOf(lines: readonly Line[], sku: string): number {
  return lines.reduce((sum, line) => (line.sku === sku ? sum + line.quantity : sum), 0);
}
