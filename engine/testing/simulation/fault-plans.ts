/**
 * Which faults a seed plans, and when. A kind is a family of troubles that belong together; what a
 * level promises depends on it (`one_node` is what `replicated` survives).
 */

import type { Fault, TimedFault } from './inject.ts';
import { inTurn, oneNode, pausedRelay, slowReplicas } from './one-node-plans.ts';
import type { Random } from './random.ts';
import type { Config } from './world.ts';

export const KINDS = [
  'one_node',
  'in_turn',
  'slow_replicas',
  'any',
  'processes',
  'a_b_a',
  'zombie',
  'left_behind',
  'late_commits',
  'half_done',
  'postgres_behind',
  'split',
  'interrupted',
] as const;
export type Kind = (typeof KINDS)[number];

/** One node is lost at a time, with a Sentinel beside each: what `replicated` survives. */
export const ONE_NODE_KINDS: ReadonlySet<Kind> = new Set(['one_node', 'in_turn', 'slow_replicas']);

export function drawFaults(
  kind: Kind,
  config: Config,
  lengthMs: number,
  random: Random,
): TimedFault[] {
  const faults: TimedFault[] = [];
  const some = (most: number, draw: (atMs: number) => readonly TimedFault[]): void => {
    const count = random.int(1, most);
    for (let i = 0; i < count; i++) faults.push(...draw(random.int(200, lengthMs - 500)));
  };
  const processes = (atMs: number) => processFault(atMs, config, random);
  switch (kind) {
    case 'one_node':
      faults.push(...oneNode(random.int(500, 3_000), config, random));
      if (random.chance(0.5)) some(2, (atMs) => pausedRelay(atMs, config, random));
      break;
    case 'in_turn':
      faults.push(...inTurn(config, random));
      if (random.chance(0.5)) some(2, (atMs) => pausedRelay(atMs, config, random));
      break;
    case 'slow_replicas':
      faults.push(...slowReplicas(random.int(1_500, 4_000), config, random));
      break;
    case 'any':
      some(5, (atMs) => anyFault(atMs, config, random));
      break;
    case 'processes':
      some(2, processes);
      some(2, (atMs) => anyFault(atMs, config, random));
      break;
    case 'a_b_a':
      some(2, (atMs) => backAndForth(atMs, random));
      if (random.chance(0.5)) some(2, processes);
      break;
    case 'zombie':
      some(2, (atMs) => zombie(atMs, config, random));
      if (random.chance(0.3)) some(1, processes);
      break;
    case 'left_behind':
      faults.push(...leftBehind(random.int(800, 3_000), config, random));
      break;
    case 'late_commits':
      some(12, (atMs) => [{ atMs, fault: { fault: 'crash_engine', index: random.int(0, 1) } }]);
      if (random.chance(0.3)) some(1, (atMs) => anyFault(atMs, config, random));
      if (random.chance(0.3)) some(2, (atMs) => jumpingClock(atMs, random));
      break;
    case 'half_done':
      some(3, (atMs) => halfDone(atMs, config, random));
      if (random.chance(0.5)) some(2, processes);
      break;
    case 'postgres_behind':
      some(2, (atMs) => postgresBehind(atMs, config, random));
      break;
    case 'interrupted':
      some(3, (atMs) => interrupted(atMs, config, random));
      break;
    case 'split':
      some(1, (atMs) => split(atMs, config, random));
      break;
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

/** The old primary stays in sight of some engines, and of workers that were not told. */
function zombie(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.int(1, config.nodes - 1);
  const stray = (
    who: 'engine' | 'relay' | 'persister' | 'recovery',
    index: number,
  ): TimedFault => ({
    atMs: atMs + random.int(100, 3_000),
    fault: { fault: 'stray', who, index, node: random.chance(0.7) ? 0 : node },
  });
  return [
    { atMs: Math.max(0, atMs - 300), fault: { fault: 'lag', node } },
    { atMs, fault: { fault: 'promote', node } },
    { atMs: atMs + random.int(50, 2_000), fault: { fault: 'catch_up', node } },
    ...(random.chance(0.6) ? [stray('engine', 0), stray('engine', 1)] : []),
    ...(random.chance(0.5) && config.form === 'kafka' ? [stray('relay', 0)] : []),
    ...(random.chance(0.5) ? [stray('recovery', 0)] : []),
    ...(random.chance(0.5) ? [stray('persister', 0)] : []),
    ...(random.chance(0.5)
      ? [{ atMs: atMs + random.int(200, 3_000), fault: { fault: 'promote', node: 0 } } as const]
      : []),
  ];
}

/** One engine never hears of the promotion; the old primary goes on, expires holds and answers it. */
function leftBehind(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.int(1, config.nodes - 1);
  return [
    { atMs, fault: { fault: 'promote', node } },
    ...(random.chance(0.3) ? processFault(atMs + random.int(300, 2_000), config, random) : []),
  ];
}

/** Of the primary, forwards or back. */
function jumpingClock(atMs: number, random: Random): TimedFault[] {
  return [{ atMs, fault: { fault: 'skew', node: 0, ms: random.pick([-5_000, -1_000, 5_000]) } }];
}

/** A script dies half way, and somebody comes in between. */
function halfDone(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.int(1, config.nodes - 1);
  const laterMs = atMs + random.int(50, 1_500);
  return [
    { atMs, fault: { fault: 'half', node: 0 } },
    ...random.pick<readonly TimedFault[]>([
      [],
      [{ atMs: laterMs, fault: { fault: 'promote', node } }],
      [{ atMs: laterMs, fault: { fault: 'crash', who: 'recovery', index: 0, loses: true } }],
      paused(atMs - 100, laterMs + 1_000, config),
      paused(atMs - 100, laterMs + 1_000, config),
    ]),
  ];
}

/** The lane needs recovery, and the one that comes dies or stops at a step of its own. */
function interrupted(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.int(0, config.nodes - 1);
  const step = random.pick([
    'claim',
    'fence',
    'fenced',
    'lineage',
    'relay',
    'drained',
    'cells',
    'holds',
    'registry',
    'open',
  ] as const);
  const pauses = random.chance(0.4);
  const cause: TimedFault = random.pick<TimedFault>([
    { atMs, fault: { fault: 'promote', node } },
    { atMs, fault: { fault: 'promote', node } },
    { atMs, fault: { fault: 'half', node: 0 } },
    { atMs, fault: { fault: 'flush', node: 0 } },
    { atMs, fault: { fault: 'restart', node: 0, as: 'primary', with: 'disk' } },
  ]);
  const laterMs = atMs + random.int(300, 2_000);
  return [
    ...(random.chance(0.5)
      ? [{ atMs: Math.max(0, atMs - 400), fault: { fault: 'lag', node } } as const]
      : []),
    { atMs, fault: { fault: 'interrupt', step, pauses } },
    cause,
    ...(random.chance(0.5)
      ? [
          {
            atMs: laterMs - 250,
            fault: { fault: 'promote', node: random.int(0, config.nodes - 1) },
          } as const,
        ]
      : []),
    ...Array.from(
      { length: config.recoveries },
      (_, index) => ({ atMs: laterMs, fault: { fault: 'go_on', who: 'recovery', index } }) as const,
    ),
    { atMs: laterMs, fault: { fault: 'catch_up', node } },
  ];
}

/** No recovery comes for a while. */
function paused(fromMs: number, toMs: number, { recoveries }: Config): TimedFault[] {
  return Array.from({ length: recoveries }, (_, index) => index).flatMap((index) => [
    { atMs: fromMs, fault: { fault: 'pause', who: 'recovery', index } },
    { atMs: toMs, fault: { fault: 'go_on', who: 'recovery', index } },
  ]);
}

/** The standby of PostgreSQL stops hearing, the lane changes hands meanwhile, the standby takes over. */
function postgresBehind(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.int(1, config.nodes - 1);
  const endMs = atMs + random.int(100, 2_500);
  return [
    { atMs, fault: { fault: 'standby', follows: false } },
    ...(random.chance(0.7)
      ? [{ atMs: atMs + random.int(0, 600), fault: { fault: 'promote', node } } as const]
      : []),
    { atMs: endMs, fault: { fault: 'promote_postgres' } },
    ...(random.chance(0.4)
      ? [{ atMs: endMs + random.int(0, 900), fault: { fault: 'promote', node: 0 } } as const]
      : []),
  ];
}

/** {primary, replicas, engines} cut off from {one replica, Sentinels elsewhere}: WAIT goes on. */
function split(atMs: number, { nodes }: Config, random: Random): TimedFault[] {
  const node = nodes - 1;
  return [
    { atMs, fault: { fault: 'cut', nodes: [node], engines: random.chance(0.5) ? [1] : [] } },
    { atMs: atMs + 700, fault: { fault: 'promote', node } },
    { atMs: atMs + random.int(900, 3_000), fault: { fault: 'heal' } },
  ];
}

/** A to B to A, with the old primary in the dark in between. */
function backAndForth(atMs: number, random: Random): TimedFault[] {
  const lateMs = atMs + random.int(10, 1_500);
  const lag: TimedFault[] = random.chance(0.5)
    ? [{ atMs: Math.max(0, atMs - random.int(20, 600)), fault: { fault: 'lag', node: 1 } }]
    : [];
  return [
    ...lag,
    { atMs, fault: { fault: 'promote', node: 1 } },
    { atMs: lateMs, fault: { fault: 'promote', node: 0 } },
    { atMs: lateMs + 300, fault: { fault: 'catch_up', node: 1 } },
  ];
}

function anyFault(atMs: number, config: Config, random: Random): TimedFault[] {
  const node = random.chance(0.6) ? 0 : random.int(0, config.nodes - 1);
  const other = random.int(0, config.nodes - 1);
  const endMs = atMs + random.int(100, 2_500);
  const nodes = Array.from({ length: config.nodes }, (_, i) => i).filter(() => random.chance(0.5));
  const engines = [0, 1].filter(() => random.chance(0.5));
  const back: Fault = {
    fault: 'restart',
    node,
    as: random.pick(['replica', 'replica', 'primary']),
    with: random.pick(['disk', 'disk', 'all', 'nothing']),
  };
  return random
    .pick<readonly TimedFault[]>([
      [
        { atMs, fault: { fault: 'kill', node } },
        { atMs: endMs, fault: back },
      ],
      [{ atMs, fault: back }],
      [
        { atMs, fault: { fault: 'hang', node } },
        { atMs: endMs, fault: { fault: 'resume', node } },
      ],
      [
        { atMs, fault: { fault: 'cut', nodes, engines } },
        { atMs: endMs, fault: { fault: 'heal' } },
      ],
      [{ atMs, fault: { fault: 'promote', node: other } }],
      [{ atMs, fault: { fault: 'half', node } }],
      [{ atMs, fault: { fault: 'flush', node } }],
      [
        { atMs, fault: { fault: 'lag', node: other } },
        { atMs: endMs, fault: { fault: 'catch_up', node: other } },
        { atMs: endMs - 50, fault: { fault: 'promote', node: other } },
      ],
      [{ atMs, fault: { fault: 'skew', node: other, ms: random.pick([-5_000, 5_000, 60_000]) } }],
      processFault(atMs, config, random),
      processFault(atMs, config, random),
    ])
    .slice();
}

function processFault(atMs: number, config: Config, random: Random): TimedFault[] {
  const who = random.pick<'relay' | 'persister' | 'recovery'>([
    'relay',
    'persister',
    'recovery',
    'recovery',
  ]);
  const known = { relay: config.relays, persister: config.persisters, recovery: config.recoveries };
  const isNone = who === 'relay' && config.form === 'embedded';
  const index = random.int(0, known[who] - 1);
  const endMs = atMs + random.int(100, 2_500);
  const stops = random.pick<readonly TimedFault[]>([
    [{ atMs, fault: { fault: 'crash', who, index, loses: random.chance(0.5) } }],
    [
      { atMs, fault: { fault: 'pause', who, index } },
      { atMs: endMs, fault: { fault: 'go_on', who, index } },
    ],
  ]);
  return random
    .pick<readonly TimedFault[]>([
      isNone ? [] : stops,
      isNone ? [] : stops,
      isNone ? [] : stops,
      [{ atMs, fault: { fault: 'crash_engine', index: random.int(0, 1) } }],
      [
        { atMs, fault: { fault: 'postgres', up: false } },
        { atMs: endMs, fault: { fault: 'postgres', up: true } },
      ],
      [
        { atMs, fault: { fault: 'kafka', up: false } },
        { atMs: endMs, fault: { fault: 'kafka', up: true } },
      ],
      [{ atMs, fault: { fault: 'promote_postgres' } }],
    ])
    .slice();
}
