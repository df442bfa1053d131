/** What the parts of the network know of each other. */

/** One process or machine, as the rules name it: `node-1`, `engine-old`. */
export type Party = string;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Tells the caller by where it calls from and what it says first. */
export type Identify = (peer: string, firstBytes: Buffer) => Party;

/** How bytes pass from one party to another. */
export interface LinkState {
  readonly isHeld: boolean;
  readonly delayMs: number;
}

/** Asked to go on when a rule changes. */
export interface Pump {
  pump(): void;
}

/** The rules of the moment. */
export interface Rules {
  state(from: Party, to: Party): LinkState;
  add(pump: Pump): void;
  remove(pump: Pump): void;
}
