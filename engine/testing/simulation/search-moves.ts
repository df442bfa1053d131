/**
 * Who may move in a searched world, and what the moves are. In a configuration each mover is free (it
 * may move at any time, or never), prompt (it moves at once, until it has nothing more to do), or away.
 */
import type { Worker } from './inject.ts';
import type { Action } from './step.ts';
import { at, type Message, type RecoveryStep, type World } from './world.ts';

/** How much of what is rare a search allows; counted from the beginning that it searches from. */
export interface Limits {
  /** Promotions of a node. */
  readonly promotions: number;
  /** Recoveries that begin. */
  readonly recoveries: number;
  /** Deaths of the mortal processes, what they had sent lost or not; and of scripts: one count. */
  readonly crashes: number;
  readonly mortal: readonly Worker[];
  /** Scripts that die half way. */
  readonly halves: number;
  /** Promotions of PostgreSQL's standby, behind as far as it is. */
  readonly standbys: number;
  /** Times that lane time goes on, by more than a hold lives. */
  readonly pauses: number;
}

export const NO_FAULTS: Limits = {
  promotions: 0,
  recoveries: 0,
  crashes: 0,
  mortal: [],
  halves: 0,
  standbys: 0,
  pauses: 0,
};
export const UNLIMITED: Limits = { ...NO_FAULTS, recoveries: Number.POSITIVE_INFINITY };

export const PAUSE_MS = 3_000;

type Moves = (world: World, limits: Limits, begun: World) => Iterable<Action>;

const countTerms = ({ pg }: World): number => pg.registry.term % 2 ** 32;
const each = (list: readonly unknown[], what: 'relay' | 'persister'): Action[] =>
  list.map((_, i) => ({ do: what, i }));

const recoveriesThat = (world: World, are: (step: RecoveryStep) => boolean): Action[] =>
  world.recoveries.flatMap(({ step }, i) => (are(step) ? [{ do: 'recovery', i }] : []));

function deliveries(wanted: (message: Message) => boolean): Moves {
  return ({ messages }) => messages.filter(wanted).map(({ key }) => ({ do: 'deliver', key }));
}

function follows(
  who: 'relay' | 'persister' | 'recovery',
  list: (world: World) => readonly { node: number }[],
): Moves {
  return (world) =>
    list(world).flatMap(({ node }, i) =>
      node === world.primary ? [] : [{ do: 'follow', who, i, node: world.primary }],
    );
}

export const MOVERS = {
  'the clients ask': ({ clients }: World) =>
    clients.flatMap(({ busy, verb }, i) => (busy || verb === 'done' ? [] : [{ do: 'client', i }])),
  'clients give up': ({ clients }) =>
    clients.flatMap(({ busy, attempt }, i) => (busy ? [{ do: 'give_up', i, attempt }] : [])),
  'engines find another primary': ({ engines, nodes }) =>
    engines.flatMap(({ node }, i) =>
      nodes.flatMap(({ role }, to) =>
        role === 'primary' && to !== node ? [{ do: 'follow', who: 'engine', i, node: to }] : [],
      ),
    ),
  'engines send': ({ engines }) =>
    engines.flatMap(({ queue }, i) => (queue.length > 0 ? [{ do: 'flush', i }] : [])),
  'calls arrive': deliveries(({ kind }) => kind === 'exec'),
  'answers arrive': deliveries(({ kind }) => kind === 'reply' || kind === 'waited'),
  'the relay’s produce lands': deliveries((m) => m.kind === 'produce' && m.from === 'relay'),
  'the recovery’s produce lands': deliveries((m) => m.kind === 'produce' && m.from === 'recovery'),
  'the transaction commits': deliveries(({ kind }) => kind === 'transaction'),
  'the relay turns': ({ relays }) => each(relays, 'relay'),
  'the relay follows': follows('relay', ({ relays }) => relays),
  'the persister turns': ({ persisters }) => each(persisters, 'persister'),
  'the persister follows': follows('persister', ({ persisters }) => persisters),
  'a recovery begins': (world, { recoveries }, begun) =>
    countTerms(world) - countTerms(begun) < recoveries
      ? recoveriesThat(world, (step) => step === 'idle')
      : [],
  'a recovery goes on': (world) => recoveriesThat(world, (step) => step !== 'idle'),
  'the recovery follows': follows('recovery', ({ recoveries }) => recoveries),
  'an idle recovery follows': (world) =>
    world.recoveries.flatMap(({ node, step }, i) =>
      step === 'idle' && node !== world.primary
        ? [{ do: 'follow', who: 'recovery', i, node: world.primary }]
        : [],
    ),
  'replicas copy': ({ nodes }) =>
    nodes.flatMap(({ role }, i) => (role === 'replica' ? [{ do: 'replicate', i }] : [])),
  'zombies are told': ({ nodes, primary }) =>
    nodes.flatMap(({ role }, i) =>
      role === 'primary' && i !== primary ? [{ do: 'demote', i }] : [],
    ),
  'the stream is trimmed': ({ nodes }) => nodes.map((_, i) => ({ do: 'trim', i })),
  'PostgreSQL’s standby copies': () => [{ do: 'standby' }],
  'holds are swept': ({ engines }) => engines.map((_, i) => ({ do: 'sweep', i })),
  'engines look at marks': ({ engines }) => engines.map((_, i) => ({ do: 'poll', i })),
  'engines ask the registry': ({ engines }) =>
    engines.flatMap(({ asks }, i) => (asks.length > 0 ? [{ do: 'ask', i }] : [])),
} as const satisfies Readonly<Record<string, Moves>>;

export type Mover = keyof typeof MOVERS;

/** Who has a turn in a fair round: all of ours, and no client. */
export const FAIR: readonly Mover[] = [
  'zombies are told',
  'replicas copy',
  'engines send',
  'calls arrive',
  'answers arrive',
  'the relay’s produce lands',
  'the recovery’s produce lands',
  'the transaction commits',
  'the relay follows',
  'the persister follows',
  'the recovery follows',
  'engines look at marks',
  'engines ask the registry',
  'the persister turns',
  'the relay turns',
  'a recovery begins',
  'a recovery goes on',
];

/** Faults, as far as the limits go. */
export function* faults(world: World, limits: Limits, begun: World): Generator<Action> {
  const spent = {
    promotions: world.faults - world.crashes - (world.pg.timeline - 1),
    crashes: world.crashes,
  };
  const before = {
    promotions: begun.faults - begun.crashes - (begun.pg.timeline - 1),
    crashes: begun.crashes,
  };
  if (spent.promotions - before.promotions < limits.promotions) {
    for (const node of world.nodes.keys()) {
      if (node !== world.primary) yield { do: 'fault', fault: 'promote', node };
    }
  }
  if (world.pg.timeline - begun.pg.timeline < limits.standbys) {
    yield { do: 'fault', fault: 'promote_postgres' };
  }
  if (world.now - begun.now < limits.pauses * PAUSE_MS) yield { do: 'wait', ms: PAUSE_MS };
  const deaths = spent.crashes - before.crashes;
  if (deaths < limits.halves && !at(world.nodes, world.primary).dies) {
    yield { do: 'fault', fault: 'half', node: world.primary };
  }
  if (deaths >= limits.crashes) return;
  for (const who of limits.mortal) yield* crashes(world, who);
}

function* crashes(world: World, who: Worker): Generator<Action> {
  const { relays, persisters, recoveries } = world;
  const list = { relay: relays, persister: persisters, recovery: recoveries }[who];
  for (const [index, process] of list.entries()) {
    if ('step' in process && process.step === 'idle') continue;
    for (const loses of process.flight === undefined ? [true] : [true, false]) {
      yield { do: 'fault', fault: 'crash', who, index, loses };
    }
  }
}
