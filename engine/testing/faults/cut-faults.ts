/** Cuts of the network: some nodes and the processes of the old side from the rest, then healed. */
import type { Fault, FaultContext } from './fault.ts';
import { dataOf, sentinelOf, sideOf } from './stack.ts';

type Shape = (
  context: FaultContext,
  primary: number,
  others: readonly number[],
) => { readonly near: string[]; readonly far: string[] };

/** Cuts, waits for the other side to sell, goes on for the time of the run, heals. */
function cutFault(
  fault: Pick<Fault, 'name' | 'what' | 'survives' | 'because'>,
  shape: Shape,
  way: 'both' | 'out' | 'in',
): Fault {
  return {
    ...fault,
    group: 'cut',
    async inject(context) {
      const { stack, note } = context;
      const primary = (await stack.group.primary()).index;
      const others = stack.group.nodes.map(({ index }) => index).filter((i) => i !== primary);
      const { near, far } = shape(context, primary, others);
      note(`cut (${way}): ${near.join(', ')} from ${far.join(', ')}`);
      context.strike();
      if (way === 'both') stack.network.cut(near, far);
      else if (way === 'out') stack.network.cutOneWay(near, far);
      else stack.network.cutOneWay(far, near);
      const healAtMs = performance.now() + context.holdMs;
      await context.failedOverWithin(primary, context.holdMs);
      await context.sleep(healAtMs - performance.now());
      stack.network.heal();
      note('healed');
    },
  };
}

/** The primary, its Sentinel and the old side from everybody else. */
const primaryAndEngines: Shape = (_, primary, others) => ({
  near: [dataOf(primary), sentinelOf(primary), ...sideOf('old')],
  far: [...others.flatMap((i) => [dataOf(i), sentinelOf(i)]), ...sideOf('new')],
});

/** The primary, one replica and the old side from the other replica and every Sentinel. */
const primaryReplicaAndEngines: Shape = ({ stack, random }, primary, others) => {
  const beside = others[Math.floor(random() * others.length)] ?? primary;
  const rest = others.filter((i) => i !== beside);
  return {
    near: [dataOf(primary), dataOf(beside), ...sideOf('old')],
    far: [
      ...rest.map(dataOf),
      ...stack.group.nodes.map(({ index }) => sentinelOf(index)),
      ...sideOf('new'),
    ],
  };
};

export const CUT_FAULTS: readonly Fault[] = [
  cutFault(
    {
      name: 'cut_primary_engines',
      what: 'primary, its Sentinel, one engine and its workers are cut off from all other nodes, engines and workers',
      survives: 'replicated',
    },
    primaryAndEngines,
    'both',
  ),
  cutFault(
    {
      name: 'cut_primary_replica_engines',
      what: 'primary, one replica, one engine and its workers are cut off from the other replica and every Sentinel',
      survives: 'logged',
      because: 'WAIT goes on acknowledging with the replica on the wrong side of the cut',
    },
    primaryReplicaAndEngines,
    'both',
  ),
  cutFault(
    {
      name: 'cut_asymmetric_out',
      what: 'what the primary and the old side send is lost, what they are sent arrives',
      survives: 'replicated',
    },
    primaryAndEngines,
    'out',
  ),
  cutFault(
    {
      name: 'cut_asymmetric_in',
      what: 'what the primary and the old side are sent is lost, what they send arrives',
      survives: 'replicated',
    },
    primaryAndEngines,
    'in',
  ),
];
