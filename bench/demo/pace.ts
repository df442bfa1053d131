/**
 * How fast the crowd may come. On a machine that is slow, or busy with other things, 20,000 shoppers in eight
 * seconds would only show how a queue grows: so the engine's pace is measured before the doors open, and the same
 * crowd takes longer to come where it must.
 */
import { type Api, isUndecided } from './api.ts';

const CALLERS = 64;
const MEASURE_MS = 1_000;
/** More than there ever is: such a request is decided like any other, and leaves nothing behind. */
const UNITS_TOO_MANY = 1_000_000;

/** Requests a second that are answered to callers who ask again as soon as they have an answer. */
export async function measureCapacity(
  api: Pick<Api, 'call'>,
  skuId: string,
  measureMs = MEASURE_MS,
): Promise<number> {
  const startMs = performance.now();
  let answers = 0;
  const ask = async (caller: number): Promise<void> => {
    for (let n = 0; performance.now() - startMs < measureMs; n += 1) {
      const answer = await api.call({
        method: 'POST',
        path: '/api/v1/inventory/reserve',
        body: { items: [{ sku_id: skuId, quantity: UNITS_TOO_MANY }] },
        // Shoppers have keys too: those cost a look-up.
        key: `pace:${caller}:${n}`,
        label: 'pace',
      });
      if (!isUndecided(answer)) answers += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => ask(caller)));
  return answers / ((performance.now() - startMs) / 1_000);
}

/** Part of the capacity that the crowd's peak may take: commits, the log and PostgreSQL need the rest. */
const PEAK_SHARE = 0.6;
/** A crowd that is slower still would be no flash sale, and the demo has its time. */
const PACE_MAX = 2;

/** Times by which a crowd with such a peak must be slowed down; 1: it may come as it is. */
export function paceOf(capacityPerS: number, peakPerS: number): number {
  const wanted = peakPerS / (PEAK_SHARE * Math.max(1, capacityPerS));
  return Math.min(PACE_MAX, Math.max(1, wanted));
}
