/**
 * Everything that is known of what differs, read so that it is true together: Redis at S, then one
 * snapshot of PostgreSQL at or behind S with rows, ledger and lines, then Redis again. While a
 * record's bytes are the same no entry touched it, so what the snapshot says of it holds too; the
 * repair is guarded by those bytes.
 */
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { Location } from '../../engine/events/entry.ts';
import { readElement, without } from './due-element.ts';
import type {
  CellEvidence,
  CellName,
  ForgedMovement,
  LedgerOfReservation,
  RecordEvidence,
  RecordPlace,
  RedisCell,
  RedisRecord,
  StoredRecord,
} from './facts.ts';
import { showName } from './facts.ts';
import { FLOWS } from './ledger-sql.ts';
import type { Run } from './run-context.ts';
import { nameOf, rowIn, type StoredView } from './stored.ts';

const ABSENT_CELL: RedisCell = { kind: 'absent' };
const ABSENT_RECORD: RedisRecord = { kind: 'absent' };
/** At the most 2,048 references. */
const ELEMENTS_AT_ONCE = 16;

export async function cellEvidence(run: Run, names: readonly CellName[]): Promise<CellEvidence[]> {
  const look = await run.look.look({ cells: names });
  const skus = [...new Set(names.map(({ sku }) => sku as string))];
  const stored = await run.stored.snapshot(look.stamp, async (view) => ({
    rows: await view.cellsOf(skus),
    sums: await readSums(view, skus),
    forged: await readForged(view, skus),
  }));
  const again = await run.look.look({ cells: names });
  return names.map((name, i) => {
    const key = showName(name);
    const [redis, now] = [look.cells[i] ?? ABSENT_CELL, again.cells[i] ?? ABSENT_CELL];
    const sums = stored.sums.get(key);
    return {
      name,
      at: look.stamp,
      redis,
      isMoving: !sameBytes(redis, now),
      stored: stored.rows.get(key),
      ledger: sums?.ledger,
      lines: sums?.lines ?? { reserved: 0, allocated: 0 },
      forged: stored.forged.get(key) ?? [],
    };
  });
}

function sameBytes(a: RedisCell, b: RedisCell): boolean {
  if (a.kind === 'absent' || b.kind === 'absent') return a.kind === b.kind;
  return a.bytes.equals(b.bytes);
}

interface SumSql {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly available: number | null;
  readonly reserved: number | null;
  readonly allocated: number | null;
  readonly line_reserved: number | null;
  readonly line_allocated: number | null;
}

async function readSums(view: StoredView, skus: readonly string[]) {
  const rows = await view.longQuery<SumSql>(
    `WITH ${FLOWS}
     SELECT * FROM ledger FULL JOIN lines USING (sku_id, warehouse_id, pool)`,
    [view.lane, skus],
  );
  return new Map(
    rows.map((row) => {
      const { available, reserved, allocated } = row;
      const ledger =
        available === null || reserved === null || allocated === null
          ? undefined
          : { available, reserved, allocated };
      const lines = { reserved: row.line_reserved ?? 0, allocated: row.line_allocated ?? 0 };
      return [showName(nameOf(row)), { ledger, lines }] as const;
    }),
  );
}

interface ForgedSql {
  readonly name: string;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly source_location: Location;
  readonly dest_location: Location;
  readonly quantity: number;
  readonly is_repair: boolean;
}

/**
 * Rows that no entry made, that carry another time than their entry, or that stand twice; and the
 * movements back that earlier repairs wrote for such rows, which answer them.
 */
async function readForged(
  view: StoredView,
  skus: readonly string[],
): Promise<Map<string, ForgedMovement[]>> {
  const rows = await view.longQuery<ForgedSql>(
    `SELECT * FROM (
       SELECT concat_ws('-', m.lane, m.epoch, m.seq, m.idx) AS name, sku_id,
              coalesce(source_warehouse, dest_warehouse) AS warehouse_id, pool, source_location,
              dest_location, quantity,
              movement_type = 'repair' AND reason = 'reconcile: double_apply' AS is_repair,
              e.epoch IS NULL
                OR abs(extract(epoch FROM created_at) * 1000 - e.time_ms) >= 1
                OR row_number() OVER (
                     PARTITION BY m.epoch, m.seq, movement_type, reference_type, reference_id,
                       sku_id, source_warehouse, dest_warehouse, pool, source_location,
                       dest_location, quantity, reason
                     ORDER BY idx, created_at) > 1 AS is_forged
       FROM stock_movements m LEFT JOIN entries e USING (lane, epoch, seq)
       WHERE m.lane = $1 AND sku_id = ANY ($2)) judged
     WHERE is_forged OR is_repair`,
    [view.lane, skus],
  );
  const found = new Map<string, ForgedMovement[]>();
  for (const row of rows.filter(({ is_repair }) => !is_repair)) {
    const key = showName(nameOf(row));
    const list = found.get(key) ?? [];
    found.set(key, list);
    const { name, source_location: source, dest_location: dest, quantity } = row;
    list.push({ name, source, dest, quantity });
  }
  for (const row of rows.filter(({ is_repair }) => is_repair)) {
    const list = found.get(showName(nameOf(row))) ?? [];
    const at = list.findIndex(
      (each) =>
        each.source === row.dest_location &&
        each.dest === row.source_location &&
        each.quantity === row.quantity,
    );
    if (at >= 0) list.splice(at, 1);
  }
  return found;
}

export async function recordEvidence(
  run: Run,
  places: readonly RecordPlace[],
): Promise<RecordEvidence[]> {
  const ids = places.map(({ id }) => id);
  const look = await run.look.look({ records: places });
  const stored = await run.stored.snapshot(look.stamp, async (view) => ({
    rows: await view.recordsOf(ids),
    ledger: await readLedgerOf(view, ids),
    entries: await readEntries(view, ids),
  }));
  const facts = places.map((place, i) => {
    const rows = stored.rows.get(place.id);
    const redis = look.records[i] ?? ABSENT_RECORD;
    const row = rowIn(rows, place.generation);
    // Redis need not have what is not the newest under its id.
    const wanted = redis.kind === 'absent' && row !== rows?.[0] ? undefined : row;
    return { place, redis, stored: wanted, isElsewhere: row === undefined && rows !== undefined };
  });
  const due = await readDue(run, facts);
  return facts.map((fact, i) => ({
    ...fact,
    at: look.stamp,
    hasEntry: stored.entries.has(fact.place.id),
    ledger: stored.ledger.get(fact.place.id),
    isDueByRedis: due[i]?.isDueByRedis ?? false,
    isDueByStored: due[i]?.isDueByStored ?? false,
    dueElements: due[i]?.dueElements ?? [],
  }));
}

interface UnitsSql {
  readonly id: string;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly reserved: number;
  readonly allocated: number;
}

/** What became of each reservation's units, by its movements. */
async function readLedgerOf(
  view: StoredView,
  ids: readonly string[],
): Promise<Map<string, LedgerOfReservation>> {
  const rows = await view.longQuery<UnitsSql>(
    `SELECT reference_id AS id, sku_id, coalesce(source_warehouse, dest_warehouse) AS warehouse_id,
            pool,
            (coalesce(sum(quantity) FILTER (WHERE dest_location = 'reserved'), 0)
             - coalesce(sum(quantity) FILTER (WHERE source_location = 'reserved'), 0))::bigint
              AS reserved,
            (coalesce(sum(quantity) FILTER (WHERE dest_location = 'allocated'), 0)
             - coalesce(sum(quantity) FILTER (WHERE source_location = 'allocated'), 0))::bigint
              AS allocated
     FROM stock_movements
     WHERE lane = $1 AND reference_type = 'reservation' AND reference_id = ANY ($2)
     GROUP BY 1, 2, 3, 4`,
    [view.lane, [...new Set(ids)]],
  );
  const found = new Map<string, { units: Map<string, { reserved: number; allocated: number }> }>();
  for (const row of rows) {
    const { reserved, allocated } = row;
    const ledger = found.get(row.id) ?? { units: new Map() };
    found.set(row.id, ledger);
    if (reserved !== 0 || allocated !== 0) {
      ledger.units.set(showName(nameOf(row)), { reserved, allocated });
    }
  }
  return found;
}

/** Ids whose newest row was made by an entry that PostgreSQL applied. */
async function readEntries(view: StoredView, ids: readonly string[]): Promise<Set<string>> {
  const rows = await view.query<{ id: string }>(
    `SELECT reservation_id AS id FROM reservations r
     WHERE reservation_id = ANY ($2) AND EXISTS (
       SELECT FROM entries e
       WHERE e.lane = $1 AND e.epoch = r.created_epoch AND e.seq = r.created_seq)`,
    [view.lane, [...new Set(ids)]],
  );
  return new Set(rows.map(({ id }) => id));
}

type DueFacts = Pick<RecordEvidence, 'isDueByRedis' | 'isDueByStored' | 'dueElements'>;

async function readDue(
  run: Run,
  facts: readonly { place: RecordPlace; redis: RedisRecord; stored: StoredRecord | undefined }[],
): Promise<DueFacts[]> {
  const found: DueFacts[] = [];
  for (const { place, redis, stored } of facts) {
    const byRedis = deadlineOf(redis.kind === 'reservation' ? redis.record : undefined);
    const byStored = deadlineOf(stored?.kind === 'reservation' ? stored.record : undefined);
    const [there, other] = [await elements(run, byRedis), await elements(run, byStored)];
    const names = (element: Buffer) => readElement(element).some((each) => isOf(each.place, place));
    found.push({
      isDueByRedis: there.isIndexed && there.elements.some(names),
      isDueByStored: other.isIndexed && other.elements.some(names),
      dueElements: there.elements.filter(names).map((seen) => ({
        second: byRedis,
        seen,
        to: without(seen, (reference) => isOf(reference.place, place)),
      })),
    });
  }
  return found;
}

function deadlineOf(record: { state: string; deadlineS?: number } | undefined): number {
  return record?.state === 'held' ? (record.deadlineS ?? 0) : 0;
}

function isOf(a: RecordPlace, b: RecordPlace): boolean {
  return a.id === b.id && a.generation === b.generation && a.bucket === b.bucket;
}

/** All elements of a second, a bounded piece a look. */
async function elements(run: Run, second: number) {
  const found: Buffer[] = [];
  let isIndexed = false;
  for (let first = 0; second > 0; first += ELEMENTS_AT_ONCE) {
    const wanted = { second, first, count: ELEMENTS_AT_ONCE };
    const [piece] = (await run.look.look({ seconds: [wanted] })).seconds;
    if (piece === undefined) break;
    isIndexed = piece.isIndexed;
    for (const { bytes } of piece.elements) found.push(bytes);
    if (piece.elements.length < ELEMENTS_AT_ONCE) break;
  }
  return { isIndexed, elements: found };
}

/** Does each store know the SKU? */
export interface ProductEvidence {
  readonly sku: string;
  readonly inRedis: boolean;
  readonly inPostgres: boolean;
}

export async function productEvidence(
  run: Run,
  skus: readonly string[],
): Promise<ProductEvidence[]> {
  const cells = skus.map((sku) => ({ sku: sku as Sku, field: '' as CellField }));
  const look = await run.look.look({ cells });
  const defined = await run.stored.snapshot(look.stamp, (view) => view.definedOf(skus));
  return skus.map((sku, i) => ({
    sku,
    inRedis: look.cells[i]?.kind !== 'absent',
    inPostgres: defined.has(sku),
  }));
}
