/** The beginning of many histories. */
import { asSku } from '../../engine/domain/ids.ts';
import type { Entry } from '../../engine/events/entry.ts';
import { at, SimulatedLane } from './simulated-lane.ts';

export const SKU = asSku('HOT-1');
export const CELL = { sku: SKU, field: at('W1'), quantity: 1 };

/** A lane with 10 units of one SKU, and its first entries. */
export function stockedLane(attributes = ''): { lane: SimulatedLane; entries: Entry[] } {
  const lane = new SimulatedLane({ attributes });
  const entries = [lane.open(1)];
  lane.define(SKU);
  lane.moveStock('first', 'receive', [{ ...CELL, quantity: 10 }]);
  entries.push(lane.batch());
  return { lane, entries };
}
