/**
 * The sale of a fault run: shoppers who reserve at every level and commit at the default one, through
 * one engine, until they are told to stop. What an engine could not decide they ask again under the
 * same id; a shopper on the old side of a cut simply goes on asking there.
 */
import { randomFrom } from '../../../bench/load/random.ts';
import type { FaultClient } from './client.ts';
import { type Invocation, KEY_PREFIX, type Line } from './history.ts';

export interface SaleOptions {
  readonly client: FaultClient;
  readonly name: string;
  /** Begins the names of all that its shoppers want: unique over the life of the stores. */
  readonly prefix: string;
  readonly seed: string;
  readonly shoppers: number;
  readonly skus: SaleSkus;
  /** How often a reserve prefers each level; the rest takes the default. */
  readonly reserveLevels: Readonly<Record<string, number>>;
  /** The same for commits; by default each takes the default. */
  readonly commitLevels?: Readonly<Record<string, number>>;
}

export interface SaleSkus {
  /** Few units: sold out in the middle of the run. */
  readonly hot: string;
  /** More units than anybody could buy: "sold out" is always wrong. */
  readonly ample: string;
}

/** With its shoppers goes one scout, who only reserves. */
export interface Sale {
  /** Lets every shopper finish what is under way (asked again until decided), and ends. */
  stop(giveUpMs: number): Promise<void>;
}

/** What becomes of a hold. */
const COMMIT_SHARE = 0.75;
const RELEASE_SHARE = 0.1;
/** Of carts: with the scarce SKU, and with both. */
const HOT_SHARE = 0.25;
const BOTH_SHARE = 0.1;
/** Holds that nobody settles run out while the run still looks. */
const SHORT_TTL_S = 3;
const THINK_MS_MAX = 20;

export function startSale(options: SaleOptions): Sale {
  let isStopping = false;
  let giveUpAtMs = Number.POSITIVE_INFINITY;
  const run: SaleRun = {
    ...options,
    isStopping: () => isStopping,
    isOver: () => performance.now() > giveUpAtMs,
  };
  const all = [scout(run), ...Array.from({ length: options.shoppers }, (_, i) => shop(run, i))];
  return {
    async stop(giveUpMs) {
      isStopping = true;
      giveUpAtMs = performance.now() + giveUpMs;
      await Promise.all(all);
    },
  };
}

interface SaleRun extends SaleOptions {
  readonly isStopping: () => boolean;
  readonly isOver: () => boolean;
}

async function shop(run: SaleRun, shopper: number): Promise<void> {
  const random = randomFrom(`${run.seed}/${run.name}/${shopper}`);
  for (let visit = 0; !run.isStopping(); visit++) {
    await buy(run, random, `${run.prefix}-${shopper}-${visit}`);
    await new Promise((resolve) => setTimeout(resolve, random() * THINK_MS_MAX));
  }
}

/**
 * Reserves and never commits: whoever waits for a commit buys nothing meanwhile, but this one shows at
 * any time whether something can be reserved.
 */
async function scout(run: SaleRun): Promise<void> {
  const { name: client, skus } = run;
  const lines = [{ sku: skus.ample, quantity: 1 }];
  for (let visit = 0; !run.isStopping(); visit++) {
    const intent = `${run.prefix}-scout-${visit}`;
    const asked = { client, intent, id: `c.${intent}`, lines, ttlS: SHORT_TTL_S, wanted: 'memory' };
    await run.client.decide({ verb: 'reserve', ...asked }, run.isOver);
    await new Promise((resolve) => setTimeout(resolve, THINK_MS_MAX));
  }
}

async function buy(run: SaleRun, random: () => number, intent: string): Promise<void> {
  const client = run.name;
  const fate = random();
  const wanted = pick(run.reserveLevels, random());
  const isSettled = fate < COMMIT_SHARE + RELEASE_SHARE;
  const asked: Invocation = {
    client,
    verb: 'reserve',
    intent,
    lines: cart(run.skus, random),
    ...idOf(intent, random()),
    ...(wanted !== undefined && { wanted }),
    ...(!isSettled && { ttlS: SHORT_TTL_S }),
  };
  const reserved = await run.client.decide(asked, run.isOver);
  if (reserved.outcome !== 'ok' || reserved.id === undefined || !isSettled) return;
  const verb = fate < COMMIT_SHARE ? 'commit' : 'release';
  const level = verb === 'commit' ? pick(run.commitLevels ?? {}, random()) : undefined;
  await run.client.decide(
    { client, verb, intent, id: reserved.id, ...(level !== undefined && { wanted: level }) },
    run.isOver,
  );
}

/** A third of the ids each: the client's own, of an idempotency key, made by the engine. */
function idOf(intent: string, at: number): { readonly id?: string } {
  if (at < 1 / 3) return { id: `c.${intent}` };
  return at < 2 / 3 ? { id: `${KEY_PREFIX}${intent}` } : {};
}

function cart({ hot, ample }: SaleSkus, random: () => number): Line[] {
  const at = random();
  const quantity = 1 + Math.floor(random() * 3);
  if (at < HOT_SHARE) return [{ sku: hot, quantity: 1 }];
  if (at < HOT_SHARE + BOTH_SHARE)
    return [
      { sku: ample, quantity },
      { sku: hot, quantity: 1 },
    ];
  return [{ sku: ample, quantity }];
}

/** The level at this place of the shares, which sum to 1 at the most; undefined behind them. */
function pick(shares: Readonly<Record<string, number>>, at: number): string | undefined {
  let sum = 0;
  for (const [level, share] of Object.entries(shares)) {
    sum += share;
    if (at < sum) return level;
  }
  return undefined;
}
