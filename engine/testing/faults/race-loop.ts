/**
 * Races between a commit and the expiry of its hold. Each racer takes a hold of two seconds, waits until
 * its time is up, and commits it through the other engine than the one that made it, every fourth
 * time through both at once, while the sweepers of both engines give back what has run out.
 *
 * When the commit must be asked for so that either may win depends on the machine: how long a request
 * stands in queues, when the sweepers come by. So the racers learn it (Aim): where commits have won
 * more than half of the races they are asked for later, else sooner.
 */
import type { FaultClient } from './client.ts';
import type { Invocation } from './history.ts';
import type { Side } from './stack.ts';

/** When commits are asked for, from the deadline of their holds on; racers share it. */
export interface Aim {
  offsetMs: number;
}

export interface RaceOptions {
  /** One client a side, for all racers. */
  readonly clients: Readonly<Record<Side, FaultClient>>;
  readonly sku: string;
  readonly races: number;
  /** Who race at once. */
  readonly racers: number;
  /** A name for the nth race, unique over the life of the stores. */
  readonly intent: (n: number) => string;
  readonly random: () => number;
  readonly aim: Aim;
}

/** Longer than a request stands in queues, or the expiry would win every time. */
const TTL_S = 2;
/** Commits of one deadline are asked for over this time, around the aim. */
const SPREAD_MS = 120;
/** By how much the aim moves when all racers win, or back when all lose. */
const STEP_MS = 300;
const OFFSET_MS_MAX = 1_600;
const BOTH_SHARE = 0.25;

/** Throws when a hold is refused: there must be stock for every race. */
export async function raceExpiry(options: RaceOptions): Promise<void> {
  let left = options.races;
  let n = 0;
  const race = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      if (!(await raceOnce(options, n++))) left += 1;
    }
  };
  await Promise.all(Array.from({ length: options.racers }, race));
}

/** False when the hold had run out before its reserve was answered: nobody raced. */
async function raceOnce(options: RaceOptions, n: number): Promise<boolean> {
  const { clients, sku, random, aim } = options;
  const [holder, committer]: readonly [Side, Side] = n % 2 === 0 ? ['old', 'new'] : ['new', 'old'];
  const intent = options.intent(n);
  const id = `c.${intent}`;
  const lines = [{ sku, quantity: 1 }];
  const wanted = 'memory';
  const hold: Invocation = {
    client: 'race',
    verb: 'reserve',
    intent,
    id,
    lines,
    ttlS: TTL_S,
    wanted,
  };
  const held = await clients[holder].decide(hold, never);
  if (held.outcome === 'ok' && held.expiresAtMs === undefined) return false;
  if (held.expiresAtMs === undefined) {
    throw new Error(`a racer's reserve was answered ${held.status} ${held.code}`);
  }
  // As late as may be, so that the aim knows of the holds that ran out a second before.
  await until(held.expiresAtMs - OFFSET_MS_MAX - SPREAD_MS);
  await until(held.expiresAtMs + aim.offsetMs + (random() - 0.5) * SPREAD_MS);
  const commit: Invocation = { client: 'race', verb: 'commit', intent, id };
  const sides = random() < BOTH_SHARE ? [committer, holder] : [committer];
  const [result] = await Promise.all(sides.map((side) => clients[side].decide(commit, never)));
  const step = (result?.outcome === 'ok' ? STEP_MS : -STEP_MS) / options.racers;
  aim.offsetMs = Math.min(OFFSET_MS_MAX, Math.max(-OFFSET_MS_MAX, aim.offsetMs + step));
  return true;
}

const until = (atMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - Date.now())));
const never = (): boolean => false;
