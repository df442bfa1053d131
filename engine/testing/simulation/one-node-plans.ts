/** Faults in which one node is lost at a time: what `replicated` survives. */
import type { Fault, TimedFault } from './inject.ts';
import type { Random } from './random.ts';
import type { Config } from './world.ts';

/** One node, once: killed, hung, or cut off with or without engines. It comes back as a replica. */
function oneNodeFault(
  atMs: number,
  { nodes, engines }: Config,
  random: Random,
  node = random.chance(0.8) ? 0 : random.int(1, nodes - 1),
  backMs = atMs + random.int(700, 4_000),
): TimedFault[] {
  const away = Array.from({ length: engines }, (_, i) => i).filter(() => random.chance(0.5));
  const [begin, end] = random.pick<readonly [Fault, Fault]>([
    [
      { fault: 'kill', node },
      { fault: 'restart', node, as: 'replica', with: 'disk' },
    ],
    [
      { fault: 'hang', node },
      { fault: 'resume', node },
    ],
    [{ fault: 'cut', nodes: [node], engines: away }, { fault: 'heal' }],
  ]);
  return [
    { atMs, fault: begin },
    { atMs: backMs, fault: end },
  ];
}

export function oneNode(atMs: number, config: Config, random: Random): TimedFault[] {
  const lost = oneNodeFault(atMs, config, random);
  return random.chance(0.3) ? [...lost, falseAlarm(atMs, random)] : lost;
}

/** Under load the Sentinels take a primary for down that they promoted a moment ago. */
function falseAlarm(afterMs: number, random: Random): TimedFault {
  return { atMs: afterMs + random.int(700, 3_000), fault: { fault: 'false_alarm' } };
}

const WHOLE_AGAIN_MS = 1_800;

/** One node after another, each after the group is whole again: whichever is the primary by then. */
export function inTurn(config: Config, random: Random): TimedFault[] {
  const faults: TimedFault[] = [];
  let atMs = random.int(300, 600);
  for (let turn = 0; turn < 3; turn++) {
    const node = turn === 0 ? 0 : random.int(0, config.nodes - 1);
    const backMs = atMs + random.int(700, 1_500);
    faults.push(...oneNodeFault(atMs, config, random, node, backMs));
    atMs = backMs + WHOLE_AGAIN_MS;
  }
  return faults;
}

/** Replicas hear late, and the log is away, until the primary dies: nobody else has what it wrote. */
export function slowReplicas(atMs: number, config: Config, random: Random): TimedFault[] {
  const fromMs = atMs - random.int(300, 1_500);
  const slow = Array.from({ length: config.nodes - 1 }, (_, i) => i + 1);
  const late = random.chance(0.5) ? slow : slow.slice(random.int(0, 1), random.int(2, 3));
  const backMs = atMs + random.int(1_500, 3_000);
  return [
    ...late.map((node) => ({ atMs: fromMs, fault: { fault: 'lag', node } }) as const),
    ...stoppedLog(fromMs, atMs, config),
    { atMs, fault: { fault: 'kill', node: 0 } },
    ...late.map((node) => ({ atMs, fault: { fault: 'catch_up', node } }) as const),
    { atMs: backMs, fault: { fault: 'restart', node: 0, as: 'replica', with: 'disk' } },
  ];
}

/** Nothing reaches the log for a while. */
function stoppedLog(fromMs: number, toMs: number, config: Config): TimedFault[] {
  const who = config.form === 'kafka' ? 'relay' : 'persister';
  const count = config.form === 'kafka' ? config.relays : config.persisters;
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => [
    { atMs: fromMs, fault: { fault: 'pause', who, index } },
    { atMs: toMs, fault: { fault: 'go_on', who, index } },
  ]);
}

/** A relay that is slow or dies is no node that is lost: `replicated` must survive both. */
export function pausedRelay(atMs: number, { form, relays }: Config, random: Random): TimedFault[] {
  const index = random.int(0, relays - 1);
  const who = form === 'kafka' ? 'relay' : 'persister';
  return [
    { atMs, fault: { fault: 'pause', who, index: form === 'kafka' ? index : 0 } },
    { atMs: atMs + 2_000, fault: { fault: 'go_on', who, index: form === 'kafka' ? index : 0 } },
  ];
}
