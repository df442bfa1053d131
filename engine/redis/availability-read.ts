/**
 * Reads the cells of SKUs in as many scripts as they take: each shows those that it has room for
 * (lua/commands/availability.lua), and what is left is asked for behind it, so that Redis serves others in
 * between. So each SKU is of one instant, and different SKUs may be of different ones.
 */
import type { Sku } from '../domain/ids.ts';
import { DecodeError } from '../events/bytes.ts';
import type { LaneCalls, Reply } from './lane-calls.ts';
import type { AvailabilityResult, LaneRefusal } from './lane-port.ts';
import type { SkuReading, Unreadable } from './operation.ts';
import { encodeSkus, readSkuView } from './operation-codec.ts';
import { unreadableOf } from './unreadable.ts';

/** A refusal, also of one of the later scripts, is of all SKUs. */
export async function readAvailability(
  skus: readonly Sku[],
  { call, refuseError }: Pick<LaneCalls, 'call' | 'refuseError'>,
  onUnreadable: (what: Unreadable) => void,
): Promise<AvailabilityResult | LaneRefusal> {
  const readings: SkuReading[] = [];
  for (;;) {
    const left = skus.slice(readings.length);
    const reply = await call('availability', undefined, encodeSkus(left));
    if ('outcome' in reply) return reply;
    try {
      const shown = readShown(left, reply);
      shown.flatMap(unreadableOf).forEach(onUnreadable);
      readings.push(...shown);
    } catch (error) {
      return refuseError(error as Error);
    }
    if (readings.length === skus.length) {
      return { outcome: 'applied', stamp: reply.stamp, skus: readings };
    }
  }
}

function readShown(asked: readonly Sku[], { stamp, reader }: Reply): SkuReading[] {
  const count = reader.u16();
  if (count > asked.length || (count === 0 && asked.length > 0)) {
    throw new DecodeError(`a lane showed ${count} of ${asked.length} SKUs`);
  }
  return asked.slice(0, count).map((sku) => ({ ...readSkuView(reader, sku), stamp }));
}
