/** Cells: all that stand in Redis against PostgreSQL, then all of PostgreSQL against Redis. */
import { readCell } from '../../engine/testing/auditor/decode-record.ts';
import { compareCell } from './compare.ts';
import type { Command } from './lane-reader.ts';
import { asBytesOrNone } from './lane-reader.ts';
import type { FieldAt, LaneView } from './lane-view.ts';
import { inPieces, PIECE_MAX } from './lane-view.ts';
import type { StoredCell } from './snapshot.ts';

/** Returns how many cells of Redis were compared. */
export async function auditCells(view: LaneView): Promise<number> {
  let cells = 0;
  for await (const piece of view.fields(view.keys.stock('*'))) {
    cells += await auditPiece(view, piece);
  }
  for await (const stored of view.snapshot.cells()) {
    for (const piece of inPieces(stored, PIECE_MAX)) await findLost(view, piece);
  }
  return cells;
}

async function auditPiece(view: LaneView, piece: readonly FieldAt[]): Promise<number> {
  const { snapshot, tail, findings } = view;
  const look = await view.look(piece.map(({ key, field }): Command => ['HGET', key, field]));
  const prefix = view.keys.stock('').length;
  const skus = [...new Set(piece.map(({ key }) => key.slice(prefix)))];
  const stored = await snapshot.cellsOf(skus);
  const defined = await snapshot.definedSkus(skus);
  let cells = 0;
  piece.forEach(({ key, field: name }, i) => {
    const sku = key.slice(prefix);
    const field = name.toString('latin1');
    const bytes = asBytesOrNone(look.replies[i]);
    if (bytes === undefined) return;
    // The field without a name says that the SKU is known.
    if (field === '') {
      if (defined.has(sku) || tail.defines(sku)) return;
      const explanation = 'Redis knows a SKU that PostgreSQL and the log do not define';
      findings.add({ invariant: 'I5', where: `SKU ${sku}`, redis: 'known', explanation });
      return;
    }
    cells += 1;
    const where = `cell ${sku} ${field}`;
    const balances = view.readable(where, () => readCell(bytes, where));
    if (balances === undefined) return;
    const expected = tail.cell(sku, field) ?? stored.get(`${sku} ${field}`);
    for (const found of compareCell(where, balances, expected)) findings.add(found);
  });
  return cells;
}

async function findLost(view: LaneView, piece: readonly StoredCell[]): Promise<void> {
  const look = await view.look(
    piece.map(({ sku, field }): Command => ['HEXISTS', view.keys.stock(sku), field]),
  );
  piece.forEach((cell, i) => {
    if (look.replies[i] === 1) return;
    const expected = view.tail.cell(cell.sku, cell.field) ?? cell;
    for (const found of compareCell(`cell ${cell.sku} ${cell.field}`, undefined, expected)) {
      view.findings.add(found);
    }
  });
}
