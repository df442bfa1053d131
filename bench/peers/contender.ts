/** Who takes part: the engine and each peer, each started the same way and asked the same things. */
import type { Books, StoreUrls } from './peer.ts';

export interface Contender {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Of the process that answers. */
  readonly pid: number;
  /** Of its workers, which are its stores' cost. */
  readonly workerPids: readonly number[];
  /** Resolves when everything acknowledged has come where it stays. */
  readonly settle: () => Promise<void>;
  /** Units in holds that will end; 0 where none ever does. */
  readonly countHeld: (sku: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** How the units of a contender stand, read from outside, with or without a contender that runs. */
export interface Reader {
  read(sku: string): Promise<Books>;
  countSold(ids: readonly string[]): Promise<number>;
  /** Differences between its stores, where it has more than one that should agree. */
  differences(): Promise<number>;
}

export interface Entrant {
  readonly name: string;
  /** Rejects when what it needs cannot be had here. */
  readonly prepare: () => Promise<void>;
  start(urls: StoreUrls, units: Readonly<Record<string, number>>): Promise<Contender>;
  /** Reads after the stores were killed and have started again. */
  withReader<T>(urls: StoreUrls, work: (reader: Reader) => Promise<T>): Promise<T>;
}
