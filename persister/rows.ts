/** What a batch writes, as data: `batch.ts` makes it of entries, `apply.ts` brings it to PostgreSQL. */
import type { Sku, WarehouseId } from '../engine/domain/ids.ts';
import type { ReservationState } from '../engine/domain/reservation.ts';
import type { Entry, Location, StockKind } from '../engine/events/entry.ts';

/** The balances of a cell after the batch, and what they must have been before it. */
export interface CellRow {
  readonly sku: Sku;
  readonly warehouse: WarehouseId;
  readonly pool: string;
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
  readonly version: number;
  /** Result less the sum of the batch's changes: what PostgreSQL must find. */
  readonly availableBefore: number;
  readonly reservedBefore: number;
  readonly allocatedBefore: number;
  /** A rule that the batch itself shows to be broken. */
  readonly suspect: string | undefined;
  readonly epoch: number;
  readonly seq: number;
  readonly timeMs: number;
}

/** Who and what an operation was for; from its JSON attributes. */
export interface Attribution {
  readonly orderId: string | undefined;
  readonly customerId: string | undefined;
  readonly channel: string | undefined;
  readonly actor: string | undefined;
}

/** The verb that took the last unit. */
export type ClosedBy = 'cancel' | 'ship';

interface ReservationChangeRow extends Attribution {
  readonly id: string;
  readonly version: number;
  readonly generation: number;
  readonly operations: readonly Buffer[];
  /** The entry that changed it last. */
  readonly epoch: number;
  readonly seq: number;
  readonly lines: readonly LineRow[];
}

/** A reservation that begins in the batch: its row when the batch is over. */
export interface CreatedRow extends ReservationChangeRow {
  readonly createdEpoch: number;
  readonly createdSeq: number;
  readonly status: ReservationState;
  readonly fingerprint: Buffer;
  readonly createdS: number;
  readonly deadlineS: number | undefined;
  readonly commitFingerprint: number;
  readonly closedBy: ClosedBy | undefined;
}

/** A change of the newest row that PostgreSQL has of an id. Undefined: stays as it is. */
export interface SettledRow extends ReservationChangeRow {
  /** The record begins anew: a commit took the units again, or reconcile put it right. */
  readonly revived: boolean;
  /** The first entry of the batch that changes it; its creation where PostgreSQL has no row. */
  readonly createdEpoch: number;
  readonly createdSeq: number;
  readonly status: ReservationState | undefined;
  readonly fingerprint: Buffer | undefined;
  readonly createdS: number | undefined;
  readonly deadlineS: number | undefined;
  readonly commitFingerprint: number | undefined;
  readonly closedBy: ClosedBy | undefined;
}

/** Units of one line at one cell: of a created row what there is, of a settled one what changes. */
export interface LineRow {
  readonly line: number;
  readonly placement: number;
  readonly cell: CellName;
  /** Units that the line asked for; 0 in a settled row that leaves them as they are. */
  readonly requested: number;
  readonly reserved: number;
  readonly allocated: number;
  readonly shipped: number;
  readonly cancelled: number;
  readonly released: number;
}

export interface CellName {
  readonly sku: Sku;
  readonly warehouse: WarehouseId;
  readonly pool: string;
}

export type MovementType =
  | 'receive'
  | 'adjust'
  | 'reserve'
  | 'commit'
  | 'release'
  | 'expire'
  | 'cancel'
  | 'ship'
  | 'repair';

/** What the movements of one change have in common. */
export interface MovementCause {
  readonly type: MovementType;
  readonly source: Location;
  readonly dest: Location;
  readonly reason: string | undefined;
  readonly referenceType: string;
  readonly referenceId: string;
  readonly actor: string | undefined;
  readonly epoch: number;
  readonly seq: number;
  readonly timeMs: number;
}

export interface MovementRow {
  readonly cause: MovementCause;
  /** Position in the entry. */
  readonly index: number;
  readonly cell: CellName;
  readonly quantity: number;
  /** Decimal number as text. */
  readonly unitCost: string | undefined;
  readonly currency: string | undefined;
}

export interface OperationRow {
  readonly id: string;
  readonly kind: StockKind;
  readonly generation: number;
  readonly fingerprint: Buffer;
  readonly epoch: number;
  readonly seq: number;
  readonly createdS: number;
}

export interface ProductRow {
  readonly sku: Sku;
  readonly epoch: number;
  readonly seq: number;
}

/** Takes the rows that nothing later in the batch changes, as they come: nobody has to keep them. */
export interface FinalRows {
  entry(row: Entry): void;
  movement(row: MovementRow): void;
  operation(row: OperationRow): void;
}

/** The rows that are known when the last entry is folded, and what the batch came to. */
export interface BatchEnd {
  readonly created: readonly CreatedRow[];
  readonly settled: readonly SettledRow[];
  readonly cells: readonly CellRow[];
  readonly products: readonly ProductRow[];
  readonly entryCount: number;
  /** Changes in the entries. */
  readonly events: number;
  /** On which its entries are, since 1970. */
  readonly days: ReadonlySet<number>;
  /** Lane time of the last entry; undefined without any. */
  readonly timeMs: number | undefined;
}

/** All rows of a batch. */
export interface Batch extends BatchEnd {
  readonly entries: readonly Entry[];
  readonly movements: readonly MovementRow[];
  readonly operations: readonly OperationRow[];
}
