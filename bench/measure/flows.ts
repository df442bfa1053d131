/**
 * The flows by name: what a plan names, the load process makes. One line each; a flow's parameters
 * are JSON, because they come in the process's argument.
 */
import type { FlowSource, FlowTarget } from './flow.ts';
import { checkoutFlow } from './flows/checkout.ts';
import { fixedFlow } from './flows/fixed.ts';
import { pairFlow } from './flows/pair.ts';
import { readsFlow } from './flows/reads.ts';
import { receivesFlow } from './flows/receives.ts';
import { replayFlow } from './flows/replay.ts';
import { resaleFlow } from './flows/resale.ts';
import { retriesFlow } from './flows/retries.ts';

const FLOWS = {
  checkout: checkoutFlow,
  fixed: fixedFlow,
  pair: pairFlow,
  reads: readsFlow,
  receives: receivesFlow,
  replay: replayFlow,
  resale: resaleFlow,
  retries: retriesFlow,
} as const;

export type FlowName = keyof typeof FLOWS;

/** A flow that a plan asks for. */
export type FlowSpec = {
  [Name in FlowName]: {
    readonly name: Name;
    readonly params: Parameters<(typeof FLOWS)[Name]>[0];
  };
}[FlowName];

export async function createFlow(
  { name, params }: FlowSpec,
  target: FlowTarget,
): Promise<FlowSource> {
  // Each name comes with its own parameters, which the compiler cannot see through the union.
  const make = FLOWS[name] as (
    params: unknown,
    target: FlowTarget,
  ) => FlowSource | Promise<FlowSource>;
  return await make(params, target);
}
