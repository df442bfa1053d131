/** One run of the model test: a shop in a city, what was asked of it, and the story so far. */
import type { Ask, Reply } from './ask.ts';
import { showAsk, showReply } from './ask.ts';
import type { City } from './city.ts';
import { type Balance, Disagreement, Shop, showUnits } from './shop.ts';

export const WAREHOUSES = ['W1', 'W2', 'W3'] as const;
const ENGINES = ['A', 'B'] as const;

export class Run {
  readonly city: City;
  readonly shop: Shop;
  readonly story: string[] = [];
  /** What was asked, for retries. */
  readonly asked: Ask[] = [];
  /** Lane time that passed, without whole days. */
  passedS = 0;
  /** Begins every name of this run. */
  readonly prefix: string;
  readonly skus: readonly string[];

  private constructor(city: City, shop: Shop, prefix: string, skus: readonly string[]) {
    this.city = city;
    this.shop = shop;
    this.prefix = prefix;
    this.skus = skus;
  }

  /** A shop with two SKUs in stock, and one that is known but was never received. */
  static async open(city: City, prefix: string): Promise<Run> {
    const skus = ['TEA', 'CUP', 'POT'].map((name) => `${prefix}${name}`);
    for (const sku of skus) await city.engine.stock({ [`${sku}@W1`]: 0 });
    for (const name of WAREHOUSES) await city.engine.stock({ [`${skus[0]}@${name}`]: 0 });
    const shop = new Shop(skus, WAREHOUSES, await city.nowS());
    const run = new Run(city, shop, prefix, skus);
    const [tea = '', cup = ''] = skus;
    const opening = [
      { sku: tea, warehouse: 'W1', delta: 9 },
      { sku: tea, warehouse: 'W2', delta: 5 },
      { sku: cup, warehouse: 'W2', delta: 6 },
    ];
    await run.ask({ kind: 'stock', verb: 'receive', lines: opening }, 0);
    return run;
  }

  tell(line: string): void {
    this.story.push(`${String(this.story.length + 1).padStart(3)}. ${line}`);
  }

  async ask(ask: Ask, engine: number): Promise<void> {
    this.asked.push(ask);
    const reply = await this.city.send(ask, engine);
    this.tell(`${ENGINES[engine]}: ${showAsk(ask)} -> ${showReply(reply)}`);
    this.shop.judge(ask, reply);
    await this.checkBalances(1 - engine);
  }

  /** Both at once, over two engines: the replies must fit one of the two orders. */
  async askBoth(asks: readonly [Ask, Ask]): Promise<void> {
    this.asked.push(...asks);
    const replies = await Promise.all([this.city.send(asks[0], 0), this.city.send(asks[1], 1)]);
    asks.forEach((ask, i) => {
      const reply = replies[i];
      const told = reply === undefined ? 'nothing' : showReply(reply);
      this.tell(`${ENGINES[i]}, at once: ${showAsk(ask)} -> ${told}`);
    });
    const [first, second] = asks.map((ask, i) => ({ ask, reply: replies[i] as Reply }));
    if (first === undefined || second === undefined) return;
    const firstFault = this.#fits([first, second]);
    const fault = firstFault === undefined ? undefined : this.#fits([second, first]);
    if (fault !== undefined) throw new Disagreement(`A first: ${firstFault}; B first: ${fault}`);
    await this.checkBalances(0);
  }

  /** Takes the replies in this order; why not, if they do not fit. */
  #fits(answered: readonly { ask: Ask; reply: Reply }[]): string | undefined {
    const shop = this.shop.clone();
    try {
      for (const { ask, reply } of answered) shop.judge(ask, reply);
    } catch (error) {
      if (error instanceof Disagreement) return error.message;
      throw error;
    }
    this.shop.adopt(shop);
    return undefined;
  }

  async checkBalances(engine: number): Promise<void> {
    const shown = showBalances(await this.city.balances(this.skus, engine));
    const expected = showBalances(this.shop.balances);
    if (shown === expected) return;
    throw new Disagreement(
      `expected the balances ${expected}, but engine ${ENGINES[engine]} shows ${shown}`,
    );
  }

  /** Everything that was done stands in the log, and the stores agree about it. */
  async close(): Promise<void> {
    await this.city.whenPersisted();
    const { fold } = this.city;
    const [violation] = fold.violations;
    if (violation !== undefined) {
      const { invariant, where, what } = violation;
      throw new Disagreement(`the log breaks ${invariant}: ${where}: ${what}`);
    }
    this.#compareWithLog();
    const { differences } = await this.city.audit();
    if (differences.length > 0) {
      throw new Disagreement(`the audit found ${JSON.stringify(differences.slice(0, 5), null, 2)}`);
    }
  }

  #compareWithLog(): void {
    const { fold } = this.city;
    for (const [cell, { available, reserved, allocated }] of this.shop.balances) {
      const [sku = '', warehouse = ''] = cell.split('@');
      const folded = fold.cell(sku, warehouse);
      const inLog = `${folded?.available} ${folded?.reserved} ${folded?.allocated}`;
      if (inLog !== `${available} ${reserved} ${allocated}`) {
        throw new Disagreement(`the log makes ${cell} ${inLog}`);
      }
    }
    for (const booking of this.shop.bookings.values()) {
      const folded = fold.reservations.get(booking.id);
      // The fold forgets what is over, when its window is over.
      if (folded === undefined && booking.units.length === 0) continue;
      const inLog = folded?.units.map(({ field: warehouse, ...rest }) => ({ warehouse, ...rest }));
      if (folded?.state !== booking.state || showUnits(inLog ?? []) !== showUnits(booking.units)) {
        throw new Disagreement(`the log makes ${booking.id} ${folded?.state ?? 'nothing'}`);
      }
    }
  }
}

function showBalances(balances: ReadonlyMap<string, Balance>): string {
  return [...balances]
    .map(([cell, { available, reserved, allocated }]) => {
      return `${cell} ${available}/${reserved}/${allocated}`;
    })
    .sort()
    .join(', ');
}
