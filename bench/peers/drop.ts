/**
 * The drop: more shoppers than units, all at once, the same for every contender. Some send each
 * request twice with the same key, some never pay; a crowd that outruns a contender waits at its
 * door (bench/demo), so that holders can still pay.
 */
import { createApi } from '../demo/api.ts';
import { HOLD_TTL_S } from '../demo/crowd.ts';
import { saleSender } from '../demo/flash-sale.ts';
import { Meter } from '../demo/meter.ts';
import { WaitingRoom } from '../demo/waiting-room.ts';
import { runSale, type SaleTally } from '../load/sale.ts';
import type { ShopperAnswer } from '../load/shopper.ts';
import { planSale } from '../load/shoppers.ts';

export interface DropSize {
  readonly shoppers: number;
  readonly units: number;
}

export interface Dropped {
  readonly tally: SaleTally;
  /** Reservations whose commit was acknowledged. */
  readonly soldIds: readonly string[];
  readonly seconds: number;
}

const SEED = 'peers';
const ARRIVE_MS = 500;
const THINK_MS_MAX = 300;
/** Reserves that are under way at once. */
const INSIDE_MAX = 64;

export async function runDrop(
  url: string,
  skuId: string,
  { shoppers, units }: DropSize,
): Promise<Dropped> {
  const plans = planSale({
    seed: SEED,
    shoppers,
    durationMs: ARRIVE_MS,
    holdTtlMs: HOLD_TTL_S * 1_000,
    thinkMedianMs: THINK_MS_MAX / 3,
    thinkMaxMs: THINK_MS_MAX,
    // No recipe has a release, and who comes back would wait out every time to live.
    releaseShare: 0,
    changeShare: 0,
    comeBackShare: 0,
  });
  const api = createApi(url, new Meter());
  const sendOne = saleSender({
    api,
    item: { skuId, name: skuId, units },
    counts: { replays: 0, firstVisits: 0 },
    room: new WaitingRoom(INSIDE_MAX),
    wave: 'drop',
  });
  const soldIds = new Set<string>();
  const startMs = performance.now();
  try {
    const { done } = runSale({
      plans,
      send: async (request, dueAtMs): Promise<ShopperAnswer> => {
        const answer = await sendOne(request, dueAtMs);
        if (answer.kind === 'committed' && request.kind === 'commit') {
          soldIds.add(request.reservationId);
        }
        return answer;
      },
    });
    const tally = await done;
    return { tally, soldIds: [...soldIds], seconds: (performance.now() - startMs) / 1_000 };
  } finally {
    api.close();
  }
}
