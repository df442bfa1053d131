/** What a fault of the catalogue is, and what it may use. */
import type { FaultClient } from './client.ts';
import type { SaleSkus } from './shoppers.ts';
import type { FaultStack, FaultStackOptions, Side } from './stack.ts';
import type { Level } from './verdict.ts';

export type FaultGroup = 'node' | 'cut' | 'process' | 'around';

export interface Fault {
  readonly name: string;
  readonly group: FaultGroup;
  /** What is done, in a sentence. */
  readonly what: string;
  /** The weakest level that promises to survive it; anything weaker may be lost, and is counted. */
  readonly survives: Level;
  /** Why that level, where it is not the one that any one node's loss asks for. */
  readonly because?: string;
  /** Over which logs it runs; both unless it says otherwise. */
  readonly logs?: readonly ('embedded' | 'kafka')[];
  readonly stack?: Omit<FaultStackOptions, 'log'>;
  /** Every run begins with new servers: for what leaves them unlike before. */
  readonly isFresh?: boolean;
  /** Nothing fails over: no recovery is expected, and none measured. */
  readonly keepsSelling?: boolean;
  /** Why it cannot run on this machine. */
  readonly obstacle?: () => string | undefined;
  /** Once for each stack, before anybody buys. */
  readonly prepare?: (stack: FaultStack) => Promise<void>;
  /** Does it, waits, heals; resolves when nothing is wrong any more but what recovery has to do. */
  readonly inject: (context: FaultContext) => Promise<void>;
  /** Once for each stack, before it ends. */
  readonly cleanUp?: (stack: FaultStack) => Promise<void>;
}

export interface FaultContext {
  readonly stack: FaultStack;
  /** Which run over this stack it is, from 0. */
  readonly run: number;
  readonly skus: SaleSkus;
  /** Numbers in [0, 1) that repeat with the seed. */
  readonly random: () => number;
  /** How long a cut lasts, a store is away, or a process sleeps. */
  readonly holdMs: number;
  /** A client of the fault's own; what it asks and hears is part of the history. */
  readonly client: (side: Side) => FaultClient;
  /** A name for what such a client wants, unique in the run. */
  readonly intent: (name: string) => string;
  readonly sleep: (ms: number) => Promise<void>;
  /** Written into the record of the run. */
  readonly note: (what: string) => void;
  /** It happens now; what clients miss is counted from the last call. By default: when it begins. */
  readonly strike: () => void;
  /** A process of the product was killed: counted by what, or at which step, it was. */
  readonly killed: (what: string) => void;
  /** Waits until this many more reserves were answered ok through both sides together. */
  readonly sell: (reserves: number) => Promise<void>;
  /** The same through one side. */
  readonly sellThrough: (side: Side, reserves: number) => Promise<void>;
  /** Waits until the Sentinels name another node than this one; which one is returned. */
  readonly failedOver: (from: number) => Promise<number>;
  /** The same, without an error when they do not within this time. */
  readonly failedOverWithin: (from: number, ms: number) => Promise<number | undefined>;
}
