/**
 * The whole simulated world as plain data: Redis nodes, log, PostgreSQL, our processes, clients, and
 * what is in flight between them.
 *
 * Every value that a list or a field of the world holds is immutable: a step puts a new one in its
 * place. So a copy of a world copies its lists alone, and the exhaustive search can tell worlds
 * apart by the identity of what they hold (identity.ts).
 */

import type { EntryKey } from '../../events/entry.ts';
import type { Place } from '../../log/place.ts';
import type {
  Client,
  ClientPlan,
  Config,
  Engine,
  Fact,
  LogEntry,
  Message,
  NodeWait,
  Persister,
  Pg,
  Recovery,
  RecoveryStep,
  RedisNode,
  Relay,
} from './parts.ts';

export type * from './parts.ts';

export interface World {
  readonly config: Config;
  readonly plans: readonly ClientPlan[];
  /** Virtual ms. */
  now: number;
  nodes: RedisNode[];
  /** As the Sentinels say, and since when. */
  primary: number;
  promotedAt: number;
  /** Nodes of another side do not hear each other; nor do engines and nodes. */
  sides: number[];
  waits: NodeWait[];
  log: LogEntry[];
  kafkaUp: boolean;
  pg: Pg;
  pgUp: boolean;
  standby: Pg;
  standbyFollows: boolean;
  /** Embedded with a standby that was promoted behind: what it lacks is lost, and that is stated. */
  pgLost: boolean;
  /** A clock was set back, and with it what lane time says of a commit's age: that is stated. */
  clockSetBack: boolean;
  relays: Relay[];
  persisters: Persister[];
  recoveries: Recovery[];
  engines: Engine[];
  clients: Client[];
  messages: Message[];
  /** Keys of messages that will never arrive: their sender died first. */
  doomed: string[];
  facts: Fact[];
  /** The recovery that comes to this step dies there, or is paused. */
  interrupt: { readonly step: RecoveryStep; readonly pauses: boolean } | undefined;
  /**
   * Recoveries wait for one another (turn.ts), unless the one at work is paused. Manners, not
   * safety: without them two may overtake each other for ever.
   */
  polite: boolean;
  /** Terms that the registry opened. */
  opened: number[];
  /** Highest lane time that any node could show: what `opened` must not go beyond. */
  laneTimeMax: number;
  /** Entries that were written anywhere: the nonce of the next. */
  fresh: number;
  /** Promotions and restarts: the next replication id. */
  lives: number;
  faults: number;
  crashes: number;
  /** The first invariant that broke. */
  wrong: string | undefined;
}

/** Wall clock of a node without skew at virtual time 0. */
export const WALL_START_MS = 1_700_000_000_000;

export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index} of ${list.length}`);
  return item;
}

export function put<T extends object>(list: T[], index: number, change: Partial<T>): void {
  list[index] = { ...at(list, index), ...change };
}

export function breaks(world: World, what: string): void {
  world.wrong ??= what;
}

export function cloneWorld(world: World): World {
  return {
    ...world,
    nodes: [...world.nodes],
    sides: [...world.sides],
    waits: [...world.waits],
    log: [...world.log],
    relays: [...world.relays],
    persisters: [...world.persisters],
    recoveries: [...world.recoveries],
    engines: [...world.engines],
    clients: [...world.clients],
    messages: [...world.messages],
    doomed: [...world.doomed],
    facts: [...world.facts],
    opened: [...world.opened],
  };
}

export function nameOf(key: EntryKey): string {
  return `${key.epoch % 2 ** 32}-${key.seq}-${key.nonce.readUInt32BE(4)}`;
}

export function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(8);
  nonce.writeUInt32BE(number, 4);
  return nonce;
}

/** For people: the counter of the term, which is what changes. */
export function showPosition({ epoch, seq }: Place): string {
  return `${epoch % 2 ** 32}-${seq}`;
}
