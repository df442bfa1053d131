/**
 * The network between the processes of a fault run: who may talk to whom, and how late. Every
 * server stands behind a listener (`front`), which learns from the peer's address who is calling;
 * so a rule is a pair of parties and a direction, and one layer can part {A, B} from {C, D}.
 *
 * A direction that is held loses nothing: its bytes and its FINs wait, as TCP would send them again
 * until the cut is healed, and then they arrive, in order, however late. That is what makes a zombie:
 * a process that nobody has told of anything, and whose last words still come.
 */
import { type Front, type FrontOptions, listen } from './front.ts';
import type { Address, LinkState, Party, Pump, Rules } from './link.ts';

const OPEN: LinkState = { isHeld: false, delayMs: 0 };

export class Network implements Rules {
  readonly #byAddress = new Map<string, Party>();
  readonly #states = new Map<string, LinkState>();
  readonly #pumps = new Set<Pump>();
  readonly #fronts: Front[] = [];

  /** Whoever calls from this address is this party. */
  name(address: string, party: Party): void {
    this.#byAddress.set(address, party);
  }

  /** The party at this address, or the address itself. */
  nameOf(address: string): Party {
    return this.#byAddress.get(address) ?? address;
  }

  /** Puts a listener before a server; the address to hand to its clients comes back. */
  async front(options: FrontOptions): Promise<Address> {
    const identify = options.identify ?? ((peer) => this.nameOf(peer));
    const front = await listen({ ...options, identify, rules: this });
    this.#fronts.push(front);
    return front.address;
  }

  /** Bytes from one party to another wait from now on, in this direction alone. */
  cutOneWay(from: readonly Party[], to: readonly Party[]): void {
    this.#setAll(from, to, (state) => ({ ...state, isHeld: true }));
  }

  /** Nothing passes between the two sides any more. */
  cut(side: readonly Party[], other: readonly Party[]): void {
    this.cutOneWay(side, other);
    this.cutOneWay(other, side);
  }

  /** Every byte from one to the other takes this much longer. */
  delay(from: readonly Party[], to: readonly Party[], delayMs: number): void {
    this.#setAll(from, to, (state) => ({ ...state, delayMs }));
  }

  /** All that waited goes on its way. */
  heal(): void {
    this.#states.clear();
    for (const each of [...this.#pumps]) each.pump();
  }

  state(from: Party, to: Party): LinkState {
    return this.#states.get(`${from}>${to}`) ?? OPEN;
  }

  add(pump: Pump): void {
    this.#pumps.add(pump);
  }

  remove(pump: Pump): void {
    this.#pumps.delete(pump);
  }

  async close(): Promise<void> {
    await Promise.all(this.#fronts.splice(0).map((front) => front.close()));
  }

  #setAll(
    from: readonly Party[],
    to: readonly Party[],
    change: (state: LinkState) => LinkState,
  ): void {
    for (const a of from) {
      for (const b of to) {
        if (a !== b) this.#states.set(`${a}>${b}`, change(this.state(a, b)));
      }
    }
    for (const each of [...this.#pumps]) each.pump();
  }
}
