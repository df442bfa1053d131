/** Every cell of Redis with its row, and every row with Redis; SKUs that are known likewise. */
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { CellName } from './facts.ts';
import { inPieces, inScope, Pace, type Run } from './run-context.ts';
import { type SeenCell, settleCells } from './settle.ts';
import { nameOf } from './stored.ts';

const CELLS_WANTED = 500;
const SKUS_MAX = 500;
const SCAN_COUNT = 1_000;
const NO_PLACE = { epoch: 0, seq: 0 };
/** The field that says that the SKU is known. */
const MARKER = '' as CellField;

export async function compareCells(run: Run): Promise<void> {
  if (run.scope.since === undefined) await cellsOfRedis(run);
  await cellsOfPostgres(run);
  if (run.scope.since === undefined) await productsOfPostgres(run);
}

async function* skusOfRedis(run: Run): AsyncGenerator<string[]> {
  if (run.scope.skus !== undefined) {
    yield [...run.scope.skus];
    return;
  }
  const prefix = run.look.keys.stock('').length;
  for await (const keys of run.look.scan(run.look.keys.stock('*'), SCAN_COUNT)) {
    yield keys.map((key) => key.slice(prefix));
  }
}

async function cellsOfRedis(run: Run): Promise<void> {
  const pace = new Pace(CELLS_WANTED, SKUS_MAX);
  for await (const skus of inPieces(skusOfRedis(run), () => pace.keys)) {
    run.signal.throwIfAborted();
    const look = await run.look.look({ skus });
    const seen: SeenCell[] = [];
    const known = new Set<string>();
    skus.forEach((sku, i) => {
      if (look.skus[i] === undefined) run.suspects.addNoHash(run.look.keys.stock(sku));
      for (const { field, cell } of look.skus[i] ?? []) {
        if (field === MARKER) known.add(sku);
        else seen.push({ name: { sku: sku as Sku, field }, redis: cell });
      }
    });
    const defined = await run.stored.snapshot(look.stamp, (view) => view.definedOf(skus));
    for (const sku of skus) if (known.has(sku) !== defined.has(sku)) run.suspects.addProduct(sku);
    await settleCells(run, seen, look.stamp);
    run.counts.cells += seen.length;
    pace.learn(skus.length, seen.length);
    run.progress('cells of Redis');
  }
}

interface NameSql {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
}

/** Names only, from a snapshot of their own; what they hold is read again with Redis. */
async function cellsOfPostgres(run: Run): Promise<void> {
  const { since, skus } = run.scope;
  await run.stored.snapshot(NO_PLACE, async (view) => {
    const rows = view.pieces<NameSql>(
      `SELECT sku_id, warehouse_id, pool FROM inventory
       WHERE lane = $1 AND (epoch > $2 OR (epoch = $2 AND seq > $3))
         AND ($4::text[] IS NULL OR sku_id = ANY ($4))`,
      [
        run.stored.lane,
        since?.epoch ?? -1,
        since?.seq ?? -1,
        skus === undefined ? null : [...skus],
      ],
    );
    for await (const piece of rows) {
      run.signal.throwIfAborted();
      await compareNames(run, piece.map(nameOf));
      run.progress('cells of PostgreSQL');
    }
  });
}

async function compareNames(run: Run, names: readonly CellName[]): Promise<void> {
  const look = await run.look.look({ cells: names });
  const seen = names.map((name, i) => ({ name, redis: look.cells[i] ?? ABSENT }));
  if (run.scope.since !== undefined) {
    await settleCells(run, seen, look.stamp);
    run.counts.cells += seen.length;
    return;
  }
  // The others were compared from the side of Redis.
  const lost = seen.filter(({ redis }) => redis.kind === 'absent');
  if (lost.length > 0) await settleCells(run, lost, look.stamp);
}

const ABSENT = { kind: 'absent' } as const;

async function productsOfPostgres(run: Run): Promise<void> {
  await run.stored.snapshot(NO_PLACE, async (view) => {
    const rows = view.pieces<{ sku_id: string }>(
      'SELECT sku_id FROM products WHERE defined_epoch IS NOT NULL',
      [],
    );
    for await (const piece of rows) {
      const skus = piece.map(({ sku_id }) => sku_id).filter((sku) => inScope(run, sku));
      const cells = skus.map((sku) => ({ sku: sku as Sku, field: MARKER }));
      const look = await run.look.look({ cells });
      skus.forEach((sku, i) => {
        if (look.cells[i]?.kind === 'absent') run.suspects.addProduct(sku);
      });
    }
  });
}
