/**
 * Cells: all of PostgreSQL against Redis, then all that stand in Redis and were not looked at by
 * then.
 */
import { readCell } from '../../engine/testing/auditor/decode-record.ts';
import { compareCell } from './compare.ts';
import { Digests, digestOf } from './digests.ts';
import type { Command } from './lane-reader.ts';
import { asBytesOrNone } from './lane-reader.ts';
import type { FieldAt, LaneView } from './lane-view.ts';
import { PIECE_MAX } from './lane-view.ts';
import type { StoredCell } from './snapshot.ts';

/** What one pass knows. */
interface Pass {
  readonly view: LaneView;
  /** Places that were compared: cells, and SKUs of which PostgreSQL knows that they are defined. */
  readonly seen: SeenCells;
  cells: number;
}

/** Returns how many cells of Redis were compared. */
export async function auditCells(view: LaneView): Promise<number> {
  const pass: Pass = { view, seen: new SeenCells(), cells: 0 };
  for await (const stored of view.snapshot.cells()) await match(pass, stored);
  await auditUnseen(pass);
  return pass.cells;
}

/** The field without a name says that the SKU is known. */
const IS_KNOWN = Buffer.alloc(0);

/** Cells by their hash and field, and how many of them stand in one hash. */
class SeenCells {
  readonly #cells = new Digests();
  /** By a digest of the key. */
  readonly #inHash = new Map<number, number>();

  /** False: it was seen before. */
  add(key: string, field: Buffer): boolean {
    const hash = digestOf(Buffer.from(key), 0);
    const isNew = this.#cells.add(digestOf(field, hash % 2 ** 31, Math.floor(hash / 2 ** 31)));
    if (isNew) this.#inHash.set(hash, this.count(key, hash) + 1);
    return isNew;
  }

  count(key: string, hash = digestOf(Buffer.from(key), 0)): number {
    return this.#inHash.get(hash) ?? 0;
  }
}

async function match(pass: Pass, stored: readonly StoredCell[]): Promise<void> {
  const { view, seen } = pass;
  const places = stored.map(({ sku, field }): FieldAt => {
    return { key: view.keys.stock(sku), field: Buffer.from(field, 'latin1') };
  });
  const skus = [...new Set(stored.map(({ sku }) => sku))];
  const defined = await view.snapshot.definedSkus(skus);
  const look = await view.look([
    ...places.map(({ key, field }): Command => ['HGET', key, field]),
    ...skus.map((sku): Command => ['HGET', view.keys.stock(sku), IS_KNOWN]),
  ]);
  skus.forEach((sku, i) => {
    const isKnown = asBytesOrNone(look.replies[places.length + i]) !== undefined;
    if (isKnown && defined.has(sku)) seen.add(view.keys.stock(sku), IS_KNOWN);
  });
  stored.forEach((cell, i) => {
    const at = places[i];
    const bytes = asBytesOrNone(look.replies[i]);
    if (at !== undefined && bytes !== undefined) seen.add(at.key, at.field);
    compare(pass, cell.sku, cell.field, bytes, cell);
  });
}

/** `stored`: what PostgreSQL has of it, before what the log says since. */
function compare(
  pass: Pass,
  sku: string,
  field: string,
  bytes: Buffer | undefined,
  stored: StoredCell | undefined,
): void {
  const { view } = pass;
  const where = `cell ${sku} ${field}`;
  if (bytes !== undefined) pass.cells += 1;
  const balances = bytes && view.readable(where, () => readCell(bytes, where));
  // What cannot be read was told.
  if (bytes !== undefined && balances === undefined) return;
  const expected = view.tail.cell(sku, field) ?? stored;
  for (const found of compareCell(where, balances, expected)) view.findings.add(found);
}

async function auditUnseen(pass: Pass): Promise<void> {
  const { view, seen } = pass;
  let unseen: FieldAt[] = [];
  for await (const { key, fields } of view.hashes(
    view.keys.stock('*'),
    (key, length) => length !== seen.count(key),
  )) {
    for (const field of fields) {
      if (seen.add(key, field)) unseen.push({ key, field });
    }
    if (unseen.length < PIECE_MAX) continue;
    await auditPiece(pass, unseen);
    unseen = [];
  }
  if (unseen.length > 0) await auditPiece(pass, unseen);
}

/** What PostgreSQL had not: either the log brought it since, or nobody knows it. */
async function auditPiece(pass: Pass, piece: readonly FieldAt[]): Promise<void> {
  const { view } = pass;
  const look = await view.look(piece.map(({ key, field }): Command => ['HGET', key, field]));
  const prefix = view.keys.stock('').length;
  const skus = [...new Set(piece.map(({ key }) => key.slice(prefix)))];
  const stored = await view.snapshot.cellsOf(skus);
  const defined = await view.snapshot.definedSkus(skus);
  piece.forEach(({ key, field: name }, i) => {
    const sku = key.slice(prefix);
    const field = name.toString('latin1');
    const bytes = asBytesOrNone(look.replies[i]);
    if (bytes === undefined) return;
    if (field !== '') compare(pass, sku, field, bytes, stored.get(`${sku} ${field}`));
    else if (!defined.has(sku) && !view.tail.defines(sku)) {
      const explanation = 'Redis knows a SKU that PostgreSQL and the log do not define';
      view.findings.add({ invariant: 'I5', where: `SKU ${sku}`, redis: 'known', explanation });
    }
  });
}
