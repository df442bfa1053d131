/**
 * What a simulated world is made of: nodes, lane, PostgreSQL, processes, clients, messages. All of it is
 * immutable.
 */
import type { Batch } from '../../../persister/rows.ts';
import type { Lineage } from '../../../reconciler/lineage.ts';
import type { Cell } from '../../domain/cell.ts';
import type { OutcomeName } from '../../domain/outcome.ts';
import type { Entry, EntryKey } from '../../events/entry.ts';
import type { ConsumerPosition } from '../../log/event-log.ts';
import type { Place } from '../../log/place.ts';

export type Form = 'kafka' | 'embedded';
/** The product's levels but `fsync`: disks are not modelled beyond "what a restart finds". */
export type Level = 'memory' | 'replicated' | 'logged' | 'persisted';
export type Verb = 'reserve' | 'commit' | 'release' | 'cancel' | 'look_up';

export interface Config {
  readonly form: Form;
  readonly nodes: number;
  readonly engines: number;
  readonly relays: number;
  readonly persisters: number;
  readonly recoveries: number;
  /** Units that each cell is granted. */
  readonly units: readonly number[];
  /** Records of one transaction of the persister, and entries of one produce, at most. */
  readonly batchMax: number;
  /**
   * There is a Sentinel beside each node, and one node is lost at a time: `replicated` loses nothing.
   */
  readonly replicatedSurvives: boolean;
  /** Somebody asks for `replicated`, so replicas count what they acknowledge. */
  readonly waits: boolean;
  readonly retryMs: number;
  /** How long an engine waits for a level. */
  readonly waitMsMax: number;
  /** Lane time in which a commit may take units again, from when it was sent; left out: none. */
  readonly retakeMsMax?: number;
  /** From a promotion until the Sentinels have told the other replicas; left out: at once. */
  readonly tellMs?: number;
  /** Which of the replicas that were in sync the Sentinels choose; left out: the one that heard most. */
  readonly chosen?: number;
  /** Recoveries have manners from the start; when the world heals they always do. */
  readonly polite: boolean;
  /** Lane time that trimming leaves in the stream, embedded; 0 with a standby loses what it needs. */
  readonly trimMarginMs: number;
}

export interface StoredEntry {
  readonly entry: Entry;
  /** By the product's codec. */
  readonly bytes: Buffer;
  readonly name: string;
}

export interface Hold {
  readonly state: 'held' | 'committed' | 'released' | 'expired' | 'closed';
  readonly version: number;
  readonly deadlineS: number;
  /** Epoch in which it was reserved: its client repeats it at the commit. */
  readonly lines: readonly { readonly cell: number; readonly units: number }[];
}

/** All that Redis replicates of the lane. */
export interface LaneData {
  /** False: there is no meta. */
  readonly exists: boolean;
  readonly term: number;
  readonly open: boolean;
  readonly replid: string;
  readonly last: EntryKey;
  readonly timeMs: number;
  readonly offsetMs: number;
  readonly cells: readonly (Cell | undefined)[];
  readonly holds: Readonly<Record<string, Hold>>;
  readonly stream: readonly StoredEntry[];
}

export interface RedisNode {
  readonly up: boolean;
  /** Stopped: keeps what is sent to it, answers nothing. */
  readonly hung: boolean;
  readonly role: 'primary' | 'replica';
  readonly follows: number;
  readonly replid: string;
  readonly runid: string;
  readonly data: LaneData;
  /** Replication offset. */
  readonly offset: number;
  /** Offsets that each node has acknowledged to this one as its replica. */
  readonly acked: readonly number[];
  /** When each was heard of last; undefined: not known as a replica. */
  readonly ackedAt: readonly (number | undefined)[];
  /** Its connection is closed, while the node was awake to see it. */
  readonly left: readonly number[];
  readonly disk: LaneData;
  readonly skewMs: number;
  /** The next script that writes dies half way. */
  readonly dies: boolean;
  /** Since when Sentinels cannot reach it. */
  readonly lostAt: number | undefined;
  /**
   * The small key beside the lane that engines look at. Not replicated here: an engine that follows
   * a promotion finds none, where the real one may find an old one, of an older epoch.
   */
  readonly marks: { readonly logged: Place; readonly persisted: Place };
  /** Does not hear of its primary's writes. */
  readonly lags: boolean;
}

export interface PgReservation {
  readonly hold: Hold;
  readonly createdEpoch: number;
  readonly place: Place;
}

export interface PgCell extends Cell {
  readonly place: Place;
  /** Sum of the movements: the second book. */
  readonly ledger: {
    readonly available: number;
    readonly reserved: number;
    readonly allocated: number;
  };
}

export interface Registry {
  readonly term: number;
  readonly state: 'recovering' | 'open' | 'parked';
}

export interface Position extends ConsumerPosition {
  readonly timeMs: number;
  readonly parked?: string;
}

/** One immutable state of PostgreSQL: a transaction makes the next. */
export interface Pg {
  readonly timeline: number;
  readonly position: Position;
  readonly registry: Registry;
  readonly cells: readonly PgCell[];
  readonly reservations: Readonly<Record<string, PgReservation>>;
  /** Names of all entries that were applied, in order. */
  readonly entries: readonly string[];
  readonly bytes: readonly Buffer[];
  /** A balance that could not be true. */
  readonly suspect: string | undefined;
}

export interface LogEntry {
  readonly term: number;
  /** Undefined: a fence. */
  readonly stored: StoredEntry | undefined;
}

export interface Relay {
  readonly paused: boolean;
  readonly node: number;
  readonly term: number | undefined;
  readonly cursor: Place;
  readonly next: number | undefined;
  readonly anchor: number | undefined;
  /** Key of the produce that is under way. */
  readonly flight: string | undefined;
}

export interface Persister {
  readonly paused: boolean;
  readonly node: number;
  readonly flight: string | undefined;
}

export type RecoveryStep =
  | 'idle'
  | 'claim'
  | 'fence'
  | 'fenced'
  | 'lineage'
  | 'relay'
  | 'drained'
  | 'wipe'
  | 'cells'
  | 'holds'
  | 'registry'
  | 'open';

export interface Recovery {
  readonly paused: boolean;
  readonly node: number;
  readonly step: RecoveryStep;
  readonly term: number;
  readonly replid: string;
  readonly before: EntryKey;
  readonly lineage: Lineage['kind'] | undefined;
  readonly sent: Place | undefined;
  readonly flight: string | undefined;
  readonly head: Position | undefined;
  readonly copy: 'nothing' | 'newer' | 'everything' | undefined;
}

/** An answer of the lane that an engine holds back. */
export interface Wait {
  readonly client: number;
  readonly attempt: number;
  readonly verb: Verb;
  readonly level: Level;
  readonly stamp: Place;
  readonly until: number;
  readonly outcome: OutcomeName;
  readonly state: Hold['state'] | undefined;
  /** Of the entry that this attempt wrote. */
  readonly entry: string | undefined;
  /** Of the exec that WAIT stands behind. */
  readonly call: string;
}

export interface Engine {
  readonly side: number;
  readonly node: number;
  readonly seen: Place;
  /** Of the newest answer, with when it came: lane time is this and what passed since, or more. */
  readonly laneTime: { readonly timeMs: number; readonly cameAt: number } | undefined;
  readonly queue: readonly number[];
  readonly waits: readonly Wait[];
  /** Final nos that wait for a sign of life. */
  readonly asks: readonly Wait[];
  readonly marks: { readonly logged: Place; readonly persisted: Place };
}

export interface ClientPlan {
  readonly id: string;
  readonly lines: readonly { readonly cell: number; readonly units: number }[];
  readonly ttlMs: number;
  /** After the reserve; `cancel` commits first; `none` lets the hold expire. */
  readonly goal: 'commit' | 'release' | 'cancel' | 'look_up' | 'none';
  readonly levels: Readonly<Partial<Record<Verb, Level>>>;
  /** Looks the reservation up when the outcome of its commit is unknown. */
  readonly asks: boolean;
  readonly engine: number;
  readonly startAt: number;
  readonly thinkMs: number;
  readonly triesMax: number;
}

export interface Client {
  readonly verb: Verb | 'done';
  readonly attempt: number;
  /** How often its engine asked for this attempt, and when last. */
  readonly sends: number;
  readonly sentAt: number;
  readonly busy: boolean;
  readonly engine: number;
  readonly notBefore: number;
  readonly holdEpoch: number;
}

/** What a client was told for good. */
export interface Fact {
  readonly client: number;
  readonly verb: Verb;
  readonly outcome: OutcomeName;
  readonly state: Hold['state'] | undefined;
  readonly level: Level;
  readonly entry: string | undefined;
}

export interface Answer {
  readonly client: number;
  readonly attempt: number;
  readonly verb: Verb;
  readonly outcome: OutcomeName;
  readonly state: Hold['state'] | undefined;
  readonly replayed: boolean;
  readonly wrote: boolean;
}

/** An operation on its way to Redis. */
export interface Op {
  readonly client: number;
  readonly attempt: number;
  readonly verb: Verb;
  readonly id: string;
  readonly lines: ClientPlan['lines'];
  readonly ttlMs: number;
  readonly holdEpoch: number;
  /** A commit may take units again until then, in lane time, in this epoch. */
  readonly retake: { readonly untilMs: number; readonly epoch: number } | undefined;
}

interface Keyed {
  readonly key: string;
}

export type Message =
  | (Keyed & {
      readonly kind: 'exec';
      readonly engine: number;
      readonly node: number;
      readonly ops: readonly Op[];
      readonly sweep: boolean;
      readonly seen: Place;
      readonly wait: boolean;
    })
  | (Keyed & {
      readonly kind: 'reply';
      readonly engine: number;
      readonly node: number;
      readonly call: string;
      /** Undefined: fenced, or the script failed. */
      readonly stamp: (Place & { readonly timeMs: number }) | undefined;
      readonly answers: readonly Answer[];
      readonly entry: string | undefined;
    })
  | (Keyed & {
      readonly kind: 'waited';
      readonly engine: number;
      readonly node: number;
      readonly call: string;
    })
  | (Keyed & {
      readonly kind: 'produce';
      readonly from: 'relay' | 'recovery';
      readonly index: number;
      readonly term: number;
      readonly entries: readonly StoredEntry[];
      readonly expected: number | undefined;
    })
  | (Keyed & {
      readonly kind: 'transaction';
      readonly index: number;
      readonly from: ConsumerPosition;
      readonly to: ConsumerPosition;
      readonly batch: Batch;
      readonly stored: readonly Buffer[];
      readonly timeMs: number;
      readonly parked: string | undefined;
    });

/** A WAIT that a node has not answered. */
export interface NodeWait {
  readonly node: number;
  readonly engine: number;
  readonly call: string;
  readonly offset: number;
  readonly replicas: number;
}
