/**
 * PostgreSQL against itself, in one snapshot: the balances of each cell, the sums of the ledger and
 * the sums of the lines of reservations must be the same numbers, and no cell may carry a mark. The
 * server compares; only what differs comes back.
 */
import { FLOWS } from './ledger-sql.ts';
import type { Run } from './run-context.ts';
import { nameOf, type StoredView } from './stored.ts';

/** $3, $4: only cells that changed behind this place. */
const CELLS = `
  WITH ${FLOWS}, balances AS (
    SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, suspect, epoch, seq
    FROM inventory WHERE lane = $1 AND ($2::text[] IS NULL OR sku_id = ANY ($2))
  ), cells AS (
    SELECT sku_id, warehouse_id, pool,
           (coalesce(available, 0), coalesce(reserved, 0), coalesce(allocated, 0))
             <> (coalesce(available_qty, 0), coalesce(reserved_qty, 0), coalesce(allocated_qty, 0))
           OR (coalesce(line_reserved, 0), coalesce(line_allocated, 0))
             <> (coalesce(reserved_qty, 0), coalesce(allocated_qty, 0))
           OR suspect IS NOT NULL AS is_off
    FROM ledger
      FULL JOIN balances USING (sku_id, warehouse_id, pool)
      FULL JOIN lines USING (sku_id, warehouse_id, pool)
    WHERE epoch IS NULL OR epoch > $3 OR (epoch = $3 AND seq > $4)
  )`;
/** The first row counts them all. */
const SELECT_OFF = `${CELLS}
  SELECT NULL AS sku_id, NULL AS warehouse_id, NULL AS pool, count(*) AS cells FROM cells
  UNION ALL
  SELECT sku_id, warehouse_id, pool, NULL FROM cells WHERE is_off`;

interface OffSql {
  readonly sku_id: string | null;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly cells: number | null;
}

const NO_PLACE = { epoch: 0, seq: 0 };

export async function compareLedger(run: Run): Promise<void> {
  const { since, skus } = run.scope;
  const values = [
    ...[run.stored.lane, skus === undefined ? null : [...skus]],
    ...[since?.epoch ?? -1, since?.seq ?? -1],
  ];
  await run.stored.snapshot(NO_PLACE, async (view) => {
    run.progress('ledger');
    for await (const piece of view.pieces<OffSql>(SELECT_OFF, values)) {
      for (const { sku_id, cells, ...place } of piece) {
        run.counts.ledgerCells += cells ?? 0;
        if (sku_id !== null) run.suspects.addCell(nameOf({ sku_id, ...place }));
      }
    }
    await findOrphanLines(run, view);
  });
}

/** Lines whose reservation is gone; `--since` cannot know how old they are. */
async function findOrphanLines(run: Run, view: StoredView): Promise<void> {
  if (run.scope.since !== undefined) return;
  const { skus } = run.scope;
  const rows = view.pieces<OrphanSql>(
    `SELECT reservation_id, created_epoch, created_seq FROM reservation_lines l
     WHERE ($1::text[] IS NULL OR sku_id = ANY ($1)) AND NOT EXISTS (
       SELECT FROM reservations r WHERE r.reservation_id = l.reservation_id
         AND r.created_epoch = l.created_epoch AND r.created_seq = l.created_seq)
     GROUP BY reservation_id, created_epoch, created_seq`,
    [skus === undefined ? null : [...skus]],
  );
  for await (const piece of rows) {
    for (const { reservation_id: id, created_epoch, created_seq } of piece) {
      run.suspects.addFinding({
        cause: 'phantom_row',
        where: `lines of reservation ${id}`,
        redis: '',
        postgres: `lines of a reservation made at ${created_epoch}-${created_seq}`,
        witness: 'no row in reservations',
        why: 'lines without their reservation count units that nobody has',
        subject: { kind: 'lines', id },
        repair: {
          by: 'postgres',
          action: 'delete the lines',
          statement: {
            text: `DELETE FROM reservation_lines l
                   WHERE $1::integer IS NOT NULL AND reservation_id = $2 AND created_epoch = $3
                     AND created_seq = $4 AND NOT EXISTS (
                       SELECT FROM reservations r WHERE r.reservation_id = l.reservation_id
                         AND r.created_epoch = l.created_epoch AND r.created_seq = l.created_seq)`,
            values: [id, created_epoch, created_seq],
          },
        },
      });
    }
  }
}

interface OrphanSql {
  readonly reservation_id: string;
  readonly created_epoch: number;
  readonly created_seq: number;
}
