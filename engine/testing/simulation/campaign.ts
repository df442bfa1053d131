/** Seed after seed; what broke, shrunk; and what was acknowledged and lost, by kind of fault. */
import { type Losses, noLosses } from './checks.ts';
import type { Kind } from './fault-plans.ts';
import { initialWorld } from './initial.ts';
import type { Rules } from './rules.ts';
import { type Scenario, type ScenarioOptions, scenarioOf } from './scenario.ts';
import { kindOf, type Replayed, shrink } from './shrink.ts';
import { type Run, simulate } from './simulate.ts';

export interface Broken {
  readonly seed: number;
  readonly wrong: string;
  readonly scenario: Scenario;
  readonly run: Run;
}

export interface Campaign {
  readonly seeds: number;
  readonly steps: number;
  readonly acknowledged: number;
  /** Runs in which a recovery opened the lane again. */
  readonly recovered: number;
  readonly losses: ReadonlyMap<Kind, Losses>;
  readonly broken: readonly Broken[];
}

export interface CampaignOptions extends ScenarioOptions {
  readonly from: number;
  /** Seeds at most, and after how many broken ones to stop. */
  readonly seeds: number;
  readonly brokenMax: number;
  /** Asked before each seed. */
  readonly goesOn?: () => boolean;
}

export async function campaign(options: CampaignOptions, rules: Rules): Promise<Campaign> {
  const { from, seeds, brokenMax, goesOn = () => true } = options;
  const losses = new Map<Kind, ReturnType<typeof noLosses>>();
  const broken: Broken[] = [];
  const count = { seeds: 0, steps: 0, acknowledged: 0, recovered: 0 };
  for (let seed = from; seed < from + seeds && broken.length < brokenMax && goesOn(); seed++) {
    const scenario = scenarioOf(seed, options);
    const run = await simulate(scenario, rules);
    count.seeds++;
    count.steps += run.trace.length;
    count.acknowledged += run.world.facts.filter(({ entry }) => entry !== undefined).length;
    if (run.world.opened.length > 1) count.recovered++;
    addLosses(losses, scenario.kind, run.losses);
    const { wrong } = run.world;
    if (wrong !== undefined) broken.push({ seed, wrong, scenario, run });
  }
  return { ...count, losses, broken };
}

function addLosses(sums: Map<Kind, ReturnType<typeof noLosses>>, kind: Kind, losses: Losses): void {
  const sum = sums.get(kind) ?? noLosses();
  sums.set(kind, sum);
  for (const level of ['memory', 'replicated', 'logged', 'persisted'] as const) {
    sum[level].acked += losses[level].acked;
    sum[level].lost += losses[level].lost;
  }
}

/** The seed's trace, as short as leaving out steps makes it. */
export async function explain({ scenario, run, wrong }: Broken, rules: Rules): Promise<Replayed> {
  const begin = () => initialWorld(scenario.config, scenario.plans);
  return shrink(begin, run.trace, wrong, rules);
}

/** One of each kind of violation, the first that was seen. */
export function firstOfEachKind(broken: readonly Broken[]): Broken[] {
  const kinds = new Map<string, Broken>();
  for (const each of broken) {
    const kind = kindOf(each.wrong);
    if (!kinds.has(kind)) kinds.set(kind, each);
  }
  return [...kinds.values()];
}
