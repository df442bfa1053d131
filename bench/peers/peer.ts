/**
 * What stands behind the server in the place of the engine: a way to take units for a shopper, to
 * sell them, and to give back what nobody paid for. Carts have one line; so have these wishes.
 */
import type { Redis } from 'ioredis';
import type { DurabilityLevel } from '../../engine/domain/durability.ts';
import type { Pool } from '../../engine/postgres/pool.ts';

/** The stores of a bench: its own, emptied for each contender. */
export interface StoreUrls {
  readonly redisUrl: string;
  /** Of a database that holds nothing else. */
  readonly databaseUrl: string;
}

export interface Wish {
  readonly sku: string;
  readonly quantity: number;
  /** Idempotency-Key; undefined: the request is the only one of its kind. */
  readonly key: string | undefined;
  readonly ttlS: number;
}

export interface Hold {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly deadlineMs: number;
}

/** Nothing was changed; the same request may be sent again. */
export interface Busy {
  readonly outcome: 'overloaded';
  readonly detail: string;
}

export type Reserved =
  | { readonly outcome: 'created' | 'exists'; readonly hold: Hold }
  /** `available` is 0 where the recipe does not say how much is left. */
  | { readonly outcome: 'insufficient'; readonly available: number }
  | Busy;

export type Committed =
  | { readonly outcome: 'committed'; readonly hold: Hold; readonly isReplay: boolean }
  | { readonly outcome: 'expired' | 'not_found' }
  | Busy;

export interface Peer {
  /** What its answers to a reserve and to a commit mean, in the engine's words. */
  readonly holdDurability: DurabilityLevel;
  readonly commitDurability: DurabilityLevel;
  /** Makes its tables, and puts the units on sale. */
  setUp(units: Readonly<Record<string, number>>): Promise<void>;
  reserve(wish: Wish): Promise<Reserved>;
  commit(id: string): Promise<Committed>;
  /** Gives back what is past its deadline; called once a second. A recipe without expiry does nothing. */
  expire(): Promise<void>;
  close(): Promise<void>;
}

/** Of one SKU, as its store has it. */
export interface Books {
  readonly forSale: number;
  /** Units in holds that are neither sold nor given back. */
  readonly held: number;
  readonly sold: number;
}

export interface OpenStores {
  readonly redis: Redis;
  readonly pool: Pool;
}

/** Reads the stores themselves: what the code that is audited says of itself is no evidence. */
export interface Bookkeeper {
  read(stores: OpenStores, sku: string): Promise<Books>;
  /** How many of these reservations stand there as sold. */
  countSold(stores: OpenStores, ids: readonly string[]): Promise<number>;
}
