/** One run of the model test: a shop in a city, what was asked of it, and the story so far. */
import type { Ask, HeldUnits, Reply } from './ask.ts';
import { showAsk, showReply } from './ask.ts';
import { showUnits } from './check.ts';
import type { City } from './city.ts';
import { judge } from './judge.ts';
import { type Balance, Disagreement, Shop } from './shop.ts';

export const WAREHOUSES = ['W1', 'W2', 'W3'] as const;
const ENGINES = ['A', 'B'] as const;

export class Run {
  readonly city: City;
  readonly shop: Shop;
  readonly story: string[] = [];
  /** What was asked, for retries. */
  readonly asked: Ask[] = [];
  /** The units that each reservation began with. */
  readonly carts = new Map<string, readonly HeldUnits[]>();
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
    await city.passToNoon();
    const shop = new Shop(skus, WAREHOUSES, await city.nowS());
    const run = new Run(city, shop, prefix, skus);
    run.noteEpoch();
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
    judge(this.shop, ask, reply);
    this.#noteCart(reply);
    await this.checkBalances(1 - engine);
  }

  #noteCart(reply: Reply): void {
    if (reply.status !== 201) return;
    const booking = [...this.shop.bookings.values()].at(-1);
    if (booking !== undefined)
      this.carts.set(
        booking.id,
        booking.units.map((held) => ({ ...held })),
      );
  }

  noteEpoch(): void {
    this.shop.epoch = this.city.fold.position?.epoch ?? 0;
  }

  /**
   * PostgreSQL hears nothing of the asks, and Redis loses them: afterwards it is as if only the
   * first ones had been asked, or none. Which ones, is found by looking.
   */
  async loseAsks(fillAsks: readonly (() => Ask)[], isPersisterSpared: boolean): Promise<void> {
    const steps: Shop[] = [this.shop.clone()];
    this.tell('PostgreSQL hears nothing of what follows, and Redis loses it');
    await this.city.loseUnlogged(async () => {
      for (const fillAsk of fillAsks) {
        const ask = fillAsk();
        if (!this.#isFleeting(ask)) continue;
        await this.ask(ask, 0);
        steps.push(this.shop.clone());
      }
    }, isPersisterSpared);
    const all = this.shop.clone();
    for (let kept = steps.length - 1; ; kept -= 1) {
      const step = steps[kept];
      if (step === undefined) throw new Disagreement('expected what was done first to be left');
      this.shop.adopt(step);
      if (!(await this.#isSo([...all.bookings.keys()]))) continue;
      this.tell(`${kept} of ${steps.length - 1} are left`);
      break;
    }
    for (const [id, booking] of all.bookings) {
      if (!this.shop.bookings.has(id)) this.shop.lost.set(id, booking);
    }
    this.noteEpoch();
  }

  /** It is answered without waiting for PostgreSQL. */
  #isFleeting(ask: Ask): boolean {
    if (ask.kind === 'reserve') return 'fresh' in ask.by;
    return ask.kind === 'settle' && this.shop.bookings.get(ask.id)?.state === 'held';
  }

  async #isSo(ids: readonly string[]): Promise<boolean> {
    const shop = this.shop.clone();
    try {
      await this.checkBalances(0);
      for (const id of ids) {
        const ask = { kind: 'look', id } as const;
        judge(shop, ask, await this.city.send(ask, 1));
      }
      return true;
    } catch (error) {
      if (error instanceof Disagreement) return false;
      throw error;
    }
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
      for (const { ask, reply } of answered) {
        judge(shop, ask, reply);
      }
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
