/** What PostgreSQL's ledger says about the sale's SKU, for comparison with what the shoppers were told. */
import type { Pool } from '../../engine/postgres/pool.ts';

export interface SaleLedger {
  /** Units that came in. */
  readonly granted: number;
  /** Units committed and not called off, shipped or not. */
  readonly sold: number;
  /** Units in live holds. */
  readonly held: number;
  /** Holds whose deadline passed, and their units. */
  readonly expiredHolds: number;
  readonly expiredUnits: number;
  /** Holds that shoppers gave back. */
  readonly releasedHolds: number;
}

/** Units that entered a location less those that left it. */
const SELECT_UNITS = `
  SELECT coalesce(sum(quantity) FILTER (WHERE source_location = 'supplier'), 0)::bigint AS granted,
         (coalesce(sum(quantity) FILTER (WHERE dest_location = 'allocated'), 0)
          - coalesce(sum(quantity) FILTER (WHERE source_location = 'allocated'
                                             AND dest_location <> 'customer'), 0))::bigint AS sold,
         (coalesce(sum(quantity) FILTER (WHERE dest_location = 'reserved'), 0)
          - coalesce(sum(quantity) FILTER (WHERE source_location = 'reserved'), 0))::bigint AS held
  FROM stock_movements WHERE sku_id = $1`;

const SELECT_HOLDS = `
  SELECT count(DISTINCT reservation_id) FILTER (WHERE status = 'expired') AS expired_holds,
         coalesce(sum(released) FILTER (WHERE status = 'expired'), 0)::bigint AS expired_units,
         count(DISTINCT reservation_id) FILTER (WHERE status = 'released') AS released_holds
  FROM reservations
  JOIN reservation_lines USING (reservation_id, created_epoch, created_seq)
  WHERE sku_id = $1`;

interface UnitsRow {
  readonly granted: number;
  readonly sold: number;
  readonly held: number;
}

interface HoldsRow {
  readonly expired_holds: number;
  readonly expired_units: number;
  readonly released_holds: number;
}

/** PostgreSQL must have applied the sale's last entry: the audit waits for it. */
export async function readSaleLedger(pool: Pool, skuId: string): Promise<SaleLedger> {
  const [units] = (await pool.query<UnitsRow>(SELECT_UNITS, [skuId])).rows;
  const [holds] = (await pool.query<HoldsRow>(SELECT_HOLDS, [skuId])).rows;
  if (units === undefined || holds === undefined) throw new Error('PostgreSQL summed up nothing');
  return {
    ...units,
    expiredHolds: holds.expired_holds,
    expiredUnits: holds.expired_units,
    releasedHolds: holds.released_holds,
  };
}
