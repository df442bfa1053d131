/** What a search is bounded by: who is there, what has happened before, who may move when. */
import { initialWorld } from './initial.ts';
import type { RuleName } from './rule-names.ts';
import { type Limits, type Mover, NO_FAULTS } from './search-moves.ts';
import type { Action } from './step.ts';
import type { ClientPlan, Config, World } from './world.ts';

/** A step on the way to the world that the search begins from; or a mover's, until something is so. */
export type Preparation =
  | Action
  | { readonly mover: Mover; readonly until: (world: World) => boolean };

export interface Configuration {
  readonly name: string;
  /** What is prepared, and what is bounded, for people. */
  readonly about: string;
  readonly config: Config;
  readonly plans: readonly ClientPlan[];
  readonly prepare: readonly Preparation[];
  /** May move at any time, or never. */
  readonly free: readonly Mover[];
  /** Move at once, behind every step. */
  readonly prompt: readonly Mover[];
  readonly limits: Limits;
  /** Planted bugs that it finds. */
  readonly finds: readonly RuleName[];
}

export function worldOf({ config, plans }: Configuration): World {
  return initialWorld(config, plans);
}

const SMALL: Config = {
  form: 'kafka',
  nodes: 2,
  engines: 1,
  relays: 1,
  persisters: 1,
  recoveries: 1,
  units: [1],
  batchMax: 4,
  replicatedSurvives: false,
  waits: false,
  retryMs: 0,
  waitMsMax: 1_000_000,
  polite: false,
  trimMarginMs: 0,
};

/** One client for each change; each wants one unit. */
export function clients(...changes: readonly Partial<ClientPlan>[]): ClientPlan[] {
  return changes.map((change, i) => ({
    id: `c${i}`,
    lines: [{ cell: 0, units: 1 }],
    ttlMs: 1_000,
    goal: 'commit',
    levels: {},
    asks: false,
    engine: 0,
    startAt: 0,
    thinkMs: 0,
    triesMax: 2,
    ...change,
  }));
}

/** Who moves at once when it is not free; in this order. */
const PROMPT: readonly Mover[] = [
  'engines send',
  'calls arrive',
  'answers arrive',
  'the relay’s produce lands',
  'the recovery’s produce lands',
  'the transaction commits',
  'the relay turns',
  'the persister turns',
  'the relay follows',
  'the persister follows',
  'an idle recovery follows',
  'a recovery goes on',
  'engines look at marks',
  'engines ask the registry',
];

interface Sketch extends Omit<Configuration, 'config' | 'prompt' | 'limits' | 'prepare'> {
  readonly config?: Partial<Config>;
  readonly prepare?: readonly Preparation[];
  readonly limits: Partial<Limits>;
  /** Do not move at all. */
  readonly away?: readonly Mover[];
}

export function configuration({
  config,
  limits,
  away = [],
  prepare = [],
  ...rest
}: Sketch): Configuration {
  return {
    ...rest,
    config: { ...SMALL, ...config },
    prepare,
    prompt: PROMPT.filter((mover) => !rest.free.includes(mover) && !away.includes(mover)),
    limits: { ...NO_FAULTS, ...limits },
  };
}
