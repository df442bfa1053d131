/** What a simulated lane holds: the state that PostgreSQL must come to. */
import type { CellField, Sku } from '../../engine/domain/ids.ts';

export interface SimulatedCell {
  readonly sku: Sku;
  readonly field: CellField;
  available: number;
  reserved: number;
  allocated: number;
  version: number;
}

export interface SimulatedPlacement {
  readonly line: number;
  readonly sku: Sku;
  readonly field: CellField;
  /** Units reserved while held, allocated once committed. */
  units: number;
}

export interface SimulatedReservation {
  state: 'held' | 'committed' | 'released' | 'expired' | 'closed';
  version: number;
  fingerprint: Buffer;
  createdS: number;
  deadlineS: number | undefined;
  commitFingerprint: number;
  closedBy: 'cancel' | 'ship' | undefined;
  operations: Buffer[];
  placements: SimulatedPlacement[];
}

export interface Want {
  readonly sku: Sku;
  readonly field: CellField;
  readonly quantity: number;
}
