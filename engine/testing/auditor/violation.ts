/** What the auditor finds wrong, by the invariant (design section 2) that it breaks. */
export const INVARIANTS = {
  I1: 'no-oversell: committed + live reserved + shipped never exceeds what was granted',
  I3: 'exactly-once: one id, one effect',
  I4: 'conservation: balances are the sum of their changes, and the stores agree',
  I5: 'no-phantom: nothing that no client asked for',
  I6: 'no-false-sold-out: units that are free are not kept from sale',
  I7: 'resolve-once: commit, release and expire of a reservation have one winner',
  I8: 'convergence: the stores catch up with one another',
  chain: 'every entry follows on its predecessor, key and nonce',
  time: 'lane time never goes backwards',
  entry: 'an entry is well formed',
} as const;

export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: Invariant;
  /** `entry 4294967297-12, cell TEA EU-1`. */
  readonly where: string;
  readonly what: string;
}
