/**
 * The number that a recovery is known by: its token, the term under which it writes the log, and,
 * once the lane is open, the epoch of new entries. Two halves in one number that Lua and JavaScript
 * hold exactly: timeline of PostgreSQL * 2^32 + a counter that never goes back.
 *
 * Because the timeline is in it, a standby that is promoted behind cannot issue a number twice: its
 * lanes table has forgotten the last counters, but its timeline is a new one.
 */
const COUNTER_SPAN = 2 ** 32;
/** The packed number stays below 2^53. */
export const TIMELINE_MAX = 2 ** 21 - 1;

export function packTerm(timeline: number, counter: number): number {
  const isRight =
    Number.isInteger(timeline) &&
    Number.isInteger(counter) &&
    timeline >= 0 &&
    timeline <= TIMELINE_MAX &&
    counter >= 0 &&
    counter < COUNTER_SPAN;
  if (!isRight) {
    throw new RangeError(
      `no term is made of timeline ${timeline} and counter ${counter}: a timeline is at most ${TIMELINE_MAX}, a counter below 2^32`,
    );
  }
  return timeline * COUNTER_SPAN + counter;
}

export function timelineOf(term: number): number {
  return Math.floor(term / COUNTER_SPAN);
}

export function counterOf(term: number): number {
  return term % COUNTER_SPAN;
}

/**
 * The counter goes on when the timeline rises, so that people can order terms by it alone. A
 * timeline below the term's own (a dump that was restored into a new cluster) does not lower it.
 */
export function termAfter(term: number, timeline: number): number {
  return packTerm(Math.max(timeline, timelineOf(term)), counterOf(term) + 1);
}

/** For people: `1.7` is the seventh recovery, on PostgreSQL's first timeline. */
export function showTerm(term: number): string {
  return `${timelineOf(term)}.${counterOf(term)}`;
}

/** What `showTerm` wrote; undefined when it is something else. */
export function parseTerm(text: string): number | undefined {
  const [, timeline, counter] = /^(\d{1,7})\.(\d{1,10})$/.exec(text) ?? [];
  if (timeline === undefined || counter === undefined) return undefined;
  const isTerm = Number(timeline) <= TIMELINE_MAX && Number(counter) < COUNTER_SPAN;
  return isTerm ? packTerm(Number(timeline), Number(counter)) : undefined;
}
