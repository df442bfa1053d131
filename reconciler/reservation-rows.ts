/** Reservations of PostgreSQL as records of Redis, with the lines that still have units. */
import { asSku, cellField, type Sku } from '../engine/domain/ids.ts';
import type { Placement, ReservationRecord } from '../engine/domain/reservation.ts';
import { packId } from '../engine/domain/reservation-id.ts';
import { encodeHold } from '../engine/events/hold-codec.ts';
import type { RestoreEncoder } from '../engine/redis/restore-encoder.ts';
import type { CopyRow } from './copy-out.ts';

/** A line as it is gathered: its placements come one row each. */
interface Line {
  readonly line: number;
  readonly sku: Sku;
  readonly requested: number;
  readonly placements: (Placement & { readonly order: number })[];
}

interface Reservation {
  readonly id: string;
  readonly generation: number;
  readonly status: string;
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly createdS: number;
  readonly deadlineS: number;
  readonly commitFingerprint: number;
  readonly closedBy: string;
  readonly operations: readonly Buffer[];
  readonly lines: Line[];
}

/** Columns of reservationsQuery that say the same in each row of one reservation. */
const OWN_COLUMNS_BEHIND_ID = 11;

/** Puts the rows of reservationsQuery together again. */
export class ReservationReader {
  readonly #out: RestoreEncoder;
  #current: Reservation | undefined;

  constructor(out: RestoreEncoder) {
    this.#out = out;
  }

  read(row: CopyRow): void {
    const id = row.ascii();
    let current = this.#current;
    if (current?.id === id) {
      row.skip(OWN_COLUMNS_BEHIND_ID);
    } else {
      this.end();
      current = readReservation(id, row);
      this.#current = current;
    }
    addPlacement(current.lines, row);
  }

  /** Writes the last one. */
  end(): void {
    if (this.#current === undefined) return;
    const { id, generation } = this.#current;
    const record = toRecord(this.#current);
    this.#out.record({
      id: packId(id),
      generation,
      record: encodeHold(record),
      deadlineS: record.state === 'held' ? record.deadlineS : undefined,
    });
    this.#current = undefined;
  }
}

function readReservation(id: string, row: CopyRow): Reservation {
  const reservation = {
    id,
    generation: row.number(),
    status: row.ascii(),
    version: row.number(),
    fingerprint: row.bytes() ?? Buffer.alloc(0),
    createdS: row.number(),
    deadlineS: row.number(),
    commitFingerprint: row.number(),
    closedBy: row.ascii(),
    operations: row.byteaArray(),
    lines: [],
  };
  // The entry that made it: the lines are joined by it.
  row.skip(2);
  return reservation;
}

function addPlacement(lines: Line[], row: CopyRow): void {
  const line = row.number();
  const order = row.number();
  const sku = row.ascii();
  if (sku === '') return;
  const field = cellField(row.ascii(), row.ascii());
  const requested = row.number();
  const placement = { order, field, quantity: row.number() };
  const last = lines.at(-1);
  if (last?.line === line && last.sku === sku) last.placements.push(placement);
  else lines.push({ line, sku: asSku(sku), requested, placements: [placement] });
}

/** A hold has reserved units, a committed one allocated ones, never both. */
function toRecord(row: Reservation): ReservationRecord {
  const { fingerprint, createdS, version, deadlineS, commitFingerprint, operations, lines } = row;
  const base = { fingerprint, createdS };
  for (const { placements } of lines) {
    if (placements.length > 1) placements.sort((a, b) => a.order - b.order);
  }
  switch (row.status) {
    case 'held':
      if (deadlineS === 0) throw new Error(`the hold ${row.id} has no deadline in PostgreSQL`);
      return { state: 'held', ...base, version, deadlineS, operations, lines };
    case 'committed':
      return { state: 'committed', ...base, version, commitFingerprint, operations, lines };
    case 'closed': {
      const { closedBy } = row;
      if (closedBy !== 'cancel' && closedBy !== 'ship') {
        throw new Error(`PostgreSQL does not say what closed reservation ${row.id}`);
      }
      return { state: 'closed', ...base, commitFingerprint, closedBy, operations };
    }
    case 'released':
    case 'expired':
      return { state: row.status, ...base };
    default:
      throw new Error(`no reservation is ${row.status}, as PostgreSQL says of ${row.id}`);
  }
}
