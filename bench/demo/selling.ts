/** The selling: real orders all the while, and in the middle the flash sale with all who come to it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runSale, type SaleTally } from '../load/sale.ts';
import type { ShopperPlan } from '../load/shoppers.ts';
import type { ReplayStep } from '../orders/replay-step.ts';
import type { Api } from './api.ts';
import { HOLD_TTL_S, planLateShoppers, type SaleSize, usualLengthMs } from './crowd.ts';
import { type SaleCounts, type SaleItem, saleSender } from './flash-sale.ts';
import type { Live } from './live.ts';
import { type OrdersTally, playOrders } from './orders.ts';
import type { Balances } from './probe.ts';
import { addTallies } from './tally.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface SellingOptions {
  readonly api: Api;
  readonly live: Pick<Live, 'phase' | 'sale' | 'orders' | 'room'>;
  readonly steps: readonly ReplayStep[];
  readonly item: SaleItem;
  readonly size: SaleSize;
  /** Planned before: 20,000 plans take a moment, in which nothing else would be done. */
  readonly crowd: readonly ShopperPlan[];
  readonly readBalances: () => Promise<Balances | undefined>;
  readonly signal: AbortSignal;
}

export interface Sold {
  readonly sale: SaleTally;
  readonly orders: OrdersTally;
  /** Answers that said "done before". */
  readonly replays: number;
  /** Shoppers who came after the crowd, because something was left. */
  readonly lateShoppers: number;
  /** How many had to wait at the door, and how long the last of them. */
  readonly waitingRoom: WaitingRoom['history'];
}

/** How long orders are played before the sale and after it. */
const LEAD_MS = 3_000;

export async function sell(options: SellingOptions): Promise<Sold> {
  const { api, live, steps, size, signal } = options;
  const durationMs = LEAD_MS + usualLengthMs(size) + LEAD_MS;
  live.phase = 'real orders';
  const orders = playOrders({ steps, durationMs, api, signal });
  live.orders = orders.tally;
  await sleep(LEAD_MS, undefined, { signal });
  live.phase = 'real orders and a flash sale';
  const sold = await holdSale(options);
  live.phase = 'real orders';
  return { ...sold, orders: await orders.done };
}

/** Reserves of the sale that are under way at once; who pays has the other connections (api.ts). */
const INSIDE_MAX = 192;
/** A machine that is slow beyond all measure must not keep the demo from its end. */
const LATE_WAVES_MAX = 5;

async function holdSale(options: SellingOptions): Promise<Omit<Sold, 'orders'>> {
  const { size, crowd } = options;
  const counts: SaleCounts = { replays: 0, firstVisits: 0 };
  const room = new WaitingRoom(INSIDE_MAX);
  options.live.room = room;
  const doing = { ...options, counts, room };
  let tally = await runWave(doing, 'sale', crowd, undefined);
  let lateShoppers = 0;
  for (let wave = 1; wave <= LATE_WAVES_MAX; wave += 1) {
    // Without a "sold out" nobody went away empty-handed, so nobody comes back.
    const left = tally.answers.sold_out === 0 ? 0 : await findUnitsLeft(options);
    if (left === 0) break;
    const late = planLateShoppers(`${size.seed}/late-${wave}`, left);
    lateShoppers += late.length;
    tally = await runWave(doing, `late-${wave}`, late, tally);
  }
  return { sale: tally, replays: counts.replays, lateShoppers, waitingRoom: room.history };
}

/** One sale under way. */
interface Doing extends SellingOptions {
  readonly counts: SaleCounts;
  readonly room: WaitingRoom;
}

async function runWave(
  { api, live, item, signal, counts, room }: Doing,
  wave: string,
  plans: readonly ShopperPlan[],
  before: SaleTally | undefined,
): Promise<SaleTally> {
  const closing = new AbortController();
  const firstVisits = counts.firstVisits + plans.length;
  const sale = runSale({
    plans,
    send: saleSender({ api, item, counts, room, wave }),
    signal: AbortSignal.any([signal, closing.signal]),
  });
  const soFar = () => (before === undefined ? sale.tally : addTallies(before, sale.tally));
  live.sale = soFar;
  const isOver = () => counts.firstVisits >= firstVisits && soFar().unitsBought >= item.units;
  const closed = closeWhen(isOver, sale.done, closing);
  await sale.done;
  await closed;
  return soFar();
}

/** Goes on for a while when all is sold, in case more should be sold than there is. */
const CLOSE_AFTER_MS = 1_500;

/**
 * When every unit is paid for and everybody has been there, the shop closes the sale: those who would come back
 * until the last abandoned hold must have expired are told that there is none.
 */
async function closeWhen(
  isOver: () => boolean,
  done: Promise<unknown>,
  closing: AbortController,
): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  void done.finally(() => ended.abort()).catch(() => undefined);
  try {
    while (!isOver()) await sleep(POLL_MS, undefined, { signal });
    await sleep(CLOSE_AFTER_MS, undefined, { signal });
    closing.abort();
  } catch {
    // The last shopper was through before: nothing is left to be closed.
  }
}

const POLL_MS = 100;
/** The last hold lives its TTL, to the whole second, and the sweeper has a second. */
const HOLDS_GONE_MS = (HOLD_TTL_S + 2) * 1_000;

/** Units that are free once no hold is left that could expire. */
async function findUnitsLeft({ readBalances, signal }: SellingOptions): Promise<number> {
  const untilMs = performance.now() + HOLDS_GONE_MS;
  for (;;) {
    const balances = await readBalances();
    const isOver = performance.now() >= untilMs;
    if (balances !== undefined && (balances.reserved === 0 || isOver)) return balances.available;
    if (isOver) return 0;
    await sleep(POLL_MS, undefined, { signal });
  }
}
