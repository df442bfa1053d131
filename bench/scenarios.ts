/** What can be run, in the order of a run. To add one: its import, and its line. */
import { guard } from './guard/guard.ts';
import type { Scenario } from './scenario.ts';
import { availabilityReads } from './scenarios/availability-reads.ts';
import { cartAbandon } from './scenarios/cart-abandon.ts';
import { carts } from './scenarios/carts.ts';
import { checkoutPairs } from './scenarios/checkout-pairs.ts';
import { commitLatency } from './scenarios/commit-latency.ts';
import { expiryStorm } from './scenarios/expiry-storm.ts';
import { flashDrop } from './scenarios/flash-drop.ts';
import { fullPipeline } from './scenarios/full-pipeline.ts';
import { hotSku } from './scenarios/hot-sku.ts';
import { lane } from './scenarios/lane.ts';
import { longTail } from './scenarios/long-tail.ts';
import { memory } from './scenarios/memory.ts';
import { mixed } from './scenarios/mixed.ts';
import { overload } from './scenarios/overload.ts';
import { peers } from './scenarios/peers.ts';
import { persister } from './scenarios/persister.ts';
import { replay } from './scenarios/replay.ts';
import { retryStorm } from './scenarios/retry-storm.ts';
import { workers } from './scenarios/workers.ts';

export const SCENARIOS: readonly Scenario[] = [
  lane,
  hotSku,
  flashDrop,
  longTail,
  carts,
  retryStorm,
  cartAbandon,
  availabilityReads,
  mixed,
  replay,
  overload,
  memory,
  persister,
  expiryStorm,
  fullPipeline,
  checkoutPairs,
  workers,
  // Last: what a group and its Sentinels do while they idle is no part of the others' numbers.
  commitLatency,
  peers,
  guard,
];
