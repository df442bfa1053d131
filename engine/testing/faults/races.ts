/**
 * Very many races of commits against expiry, over one stack and without any other fault, in rounds:
 * after each one the stores are read and judged, so that a million of them fit into memory. At the end
 * the product's own audit reads everything.
 */
import { randomFrom } from '../../../bench/load/random.ts';
import { groupAttempts } from './asked.ts';
import { audited } from './audited.ts';
import { judge } from './checker.ts';
import { createFaultClient } from './client.ts';
import { History } from './history.ts';
import { endsInLog, judgeRaces, type Race, type RaceCount, sumOfRaces } from './race-count.ts';
import { type Aim, raceExpiry } from './race-loop.ts';
import { readFinalState } from './read-state.ts';
import type { RacesRecord } from './record.ts';
import type { FaultStack } from './stack.ts';
import { stockUp } from './stock-up.ts';
import type { FaultViolation } from './verdict.ts';

export interface RacesOptions {
  readonly stack: FaultStack;
  readonly seed: string;
  readonly races: number;
  readonly racers: number;
  /** Races between two looks at the stores. */
  readonly roundOf: number;
  readonly onRound: (count: RaceCount) => void;
}

/** Sweepers come by often, and nobody is turned away at the door: that would decide the race. */
const RACE_SETTINGS = { HOLDFAST_SWEEP_MS: '20', HOLDFAST_QUEUE_WAIT_MS: '60000' };
export const RACE_STACK = { settings: RACE_SETTINGS, isDirect: true } as const;
const CONNECTIONS = 512;
const CONVERGE_MS_MAX = 60_000;
const LOG_MS_MAX = 60_000;
/** Each of a broken million would be told. */
const VIOLATIONS_MAX = 200;

export async function runRaces(options: RacesOptions): Promise<RacesRecord> {
  const { stack, seed, races, roundOf, onRound } = options;
  const startedAt = new Date();
  const beganMs = performance.now();
  const aim: Aim = { offsetMs: 0 };
  const counts: RaceCount[] = [];
  const violations: FaultViolation[] = [];
  for (let done = 0; done < races; done += roundOf) {
    const of = Math.min(roundOf, races - done);
    const round = await raceRound(options, counts.length, of, aim);
    counts.push(round.count);
    violations.push(...round.violations);
    onRound(sumOfRaces(counts));
  }
  const seconds = (performance.now() - beganMs) / 1_000;
  violations.push(...(await audited(stack, { foldedReservationsMax: 2 * races + 100_000 })));
  return {
    kind: 'races',
    at: startedAt.toISOString(),
    log: stack.options.log,
    seed,
    seconds: Math.round(seconds),
    ...sumOfRaces(counts),
    violations: violations.slice(0, VIOLATIONS_MAX),
  };
}

async function raceRound(
  { stack, seed, racers }: RacesOptions,
  round: number,
  races: number,
  aim: Aim,
): Promise<{ readonly count: RaceCount; readonly violations: readonly FaultViolation[] }> {
  const history = new History();
  const skus = { hot: `RACE-HOT-${seed}-${round}`, ample: `RACE-${seed}-${round}` };
  await stockUp(stack.engineAddress('new'), history, `races-${seed}-${round}`, skus);
  const connect = (side: 'old' | 'new') =>
    createFaultClient({ ...stack.engineAddress(side), history, connections: CONNECTIONS });
  const clients = { old: connect('old'), new: connect('new') };
  const random = randomFrom(`${seed}/races/${round}`);
  const intent = (n: number): string => `${seed}-${round}-${n}`;
  try {
    await raceExpiry({ clients, sku: skus.ample, races, racers, intent, random, aim });
  } finally {
    clients.old.close();
    clients.new.close();
  }
  const attempts = history.attempts();
  const asked = groupAttempts(attempts);
  const ids = asked.flatMap(({ id }) => (id === undefined ? [] : [id]));
  // The log is walked whole by the audit; here it says who won each race.
  const sources = { redis: await stack.primary(), pool: stack.pool, log: undefined };
  const of = { skus: Object.values(skus), ids };
  const state = await readFinalState(sources, of, CONVERGE_MS_MAX);
  const ends = endsInLog(await stack.log.readUntil(state.position, LOG_MS_MAX));
  stack.log.forget();
  const { violations } = judge({ attempts, state, survives: 'memory' });
  const judged = judgeRaces(racesOf(asked), ends);
  return { count: judged.count, violations: [...judged.violations, ...violations] };
}

/** The commits of a history, with the deadlines of their holds. */
function racesOf(asked: ReturnType<typeof groupAttempts>): Race[] {
  const deadlines = new Map<string, number>();
  for (const { verb, intent, attempts } of asked) {
    if (verb !== 'reserve') continue;
    for (const { result } of attempts) {
      if (result?.expiresAtMs !== undefined) deadlines.set(intent, result.expiresAtMs);
    }
  }
  return asked.flatMap((each) => {
    const deadlineMs = deadlines.get(each.intent);
    if (each.verb !== 'commit' || deadlineMs === undefined) return [];
    return [{ asked: each, deadlineMs }];
  });
}
