/** What a seed stands for: bounds, shoppers, faults and when. All chance but that of delays is here. */
import { drawFaults, KINDS, type Kind, ONE_NODE_KINDS } from './fault-plans.ts';
import type { TimedFault } from './inject.ts';
import { createRandom, type Random } from './random.ts';
import type { ClientPlan, Config, Form, Level, Verb } from './world.ts';

export interface Scenario {
  readonly seed: number;
  readonly kind: Kind;
  readonly config: Config;
  readonly plans: readonly ClientPlan[];
  readonly faults: readonly TimedFault[];
  /** How long shoppers and faults go on, virtual. */
  readonly lengthMs: number;
  /** Messages that are lost, and that take up to `slowMs` rather than milliseconds. */
  readonly lossRate: number;
  readonly slowRate: number;
  readonly slowMs: number;
  /** A cut holds bytes until it heals, or drops them. */
  readonly holdsBytes: boolean;
  /** Workers and engines follow the Sentinels after so long, at most. */
  readonly followMsMax: number;
  /** How long a primary that was replaced goes on in its own eyes, about. */
  readonly demoteEveryMs: number;
  /** Engines that do not hear of promotions until the world is healed. */
  readonly deaf: readonly number[];
}

export interface ScenarioOptions {
  readonly form?: Form | undefined;
  readonly kind?: Kind | undefined;
}

const LENGTH_MS = 7_000;
const WAITS_MS_MAX: Partial<Record<Kind, readonly [number, ...number[]]>> = {
  zombie: [600, 3_000],
  late_commits: [1_000],
};
const SLOW_RATES: Partial<Record<Kind, readonly [number]>> = {
  zombie: [0.25],
  late_commits: [0.4],
};

export function scenarioOf(seed: number, options: ScenarioOptions = {}): Scenario {
  const random = createRandom(seed);
  const drawn = random.chance(0.5) ? 'kafka' : 'embedded';
  const form = options.form ?? drawn;
  const drawnKind = random.pick(KINDS);
  const kind = options.kind ?? drawnKind;
  const nodes =
    ONE_NODE_KINDS.has(kind) || kind === 'split' ? random.pick([3, 4]) : random.pick([2, 3, 3, 4]);
  const config: Config = {
    form,
    nodes,
    engines: 2,
    relays: random.int(1, 2),
    persisters: random.int(1, 2),
    recoveries: random.int(1, 2),
    units: Array.from({ length: random.int(1, 3) }, () =>
      random.int(1, kind === 'half_done' ? 2 : 5),
    ),
    batchMax: random.pick([1, 2, 4]),
    replicatedSurvives: ONE_NODE_KINDS.has(kind),
    waits: true,
    retryMs: 150,
    waitMsMax: random.pick(WAITS_MS_MAX[kind] ?? [600, 1_000, 3_000]),
    retakeMsMax: kind === 'late_commits' ? 900 : 500,
    tellMs: random.pick([0, 300, 1_000]),
    chosen: random.int(0, 2),
    polite: random.chance(0.6),
    trimMarginMs: random.pick([0, 2_000, 600_000]),
  };
  const plans = Array.from({ length: random.int(6, 14) }, (_, i) =>
    clientPlan(i, kind, config, random),
  );
  return {
    seed,
    kind,
    config,
    plans,
    faults: drawFaults(kind, config, LENGTH_MS, random),
    lengthMs: LENGTH_MS,
    lossRate: random.pick(kind === 'zombie' ? [0, 0.1, 0.25] : [0, 0, 0.02, 0.1]),
    slowRate: random.pick(SLOW_RATES[kind] ?? [0, 0.05, 0.2]),
    slowMs: kind === 'late_commits' ? 3_000 : 1_500,
    holdsBytes: random.chance(0.5),
    followMsMax: kind === 'zombie' ? 3_000 : random.pick([200, 1_000, 3_000]),
    demoteEveryMs: random.pick(DEMOTE_EVERY_MS[kind] ?? [300, 1_000, 4_000]),
    deaf: kind === 'left_behind' ? [0] : [],
  };
}

const DEMOTE_EVERY_MS: Partial<Record<Kind, readonly [number]>> = {
  zombie: [4_000],
  left_behind: [60_000],
  in_turn: [300],
};

/** Share of the shoppers who commit when their hold has expired. */
const LATE: Partial<Record<Kind, number>> = { half_done: 0.6, late_commits: 0.8 };

function clientPlan(index: number, kind: Kind, { units }: Config, random: Random): ClientPlan {
  const first = random.int(0, units.length - 1);
  const lines = [{ cell: first, units: random.int(1, 2) }];
  if (units.length > 1 && random.chance(0.3)) {
    lines.push({ cell: (first + 1) % units.length, units: 1 });
  }
  const reserve = random.pick<Level | undefined>([undefined, undefined, 'replicated', 'logged']);
  const settle = random.pick<Level | undefined>([
    undefined,
    undefined,
    undefined,
    'persisted',
    'replicated',
  ]);
  const levels: Partial<Record<Verb, Level>> = {};
  if (reserve !== undefined) levels.reserve = reserve;
  if (settle !== undefined) levels.commit = settle;
  // Commits that come after their deadline take the units again.
  const isLate = random.chance(LATE[kind] ?? 0.15);
  return {
    id: `c${index}`,
    lines,
    ttlMs: isLate ? 500 : random.pick([1_000, 2_000, 4_000, 20_000]),
    goal: random.pick(['commit', 'commit', 'commit', 'release', 'cancel', 'look_up', 'none']),
    levels,
    engine: random.int(0, 1),
    startAt: random.int(0, LENGTH_MS * 0.7),
    asks: random.chance(kind === 'zombie' || kind === 'late_commits' ? 0.7 : 0.4),
    thinkMs: isLate ? 2_000 : random.pick([20, 300, 1_500]),
    triesMax: random.int(3, 12),
  };
}
