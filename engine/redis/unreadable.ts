/**
 * What stands in Redis and says nothing: a cell or a record that somebody wrote over, or that rotted.
 * The scripts refuse the operations that need it, each alone; this says so to clients and to the log.
 */
import type { Cell } from '../domain/cell.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import { unpackId } from '../domain/reservation-id.ts';
import { type ByteReader, DecodeError } from '../events/bytes.ts';
import { decodeCell } from '../events/cell-codec.ts';
import type { SkuView, Unreadable } from './operation.ts';

/** As `answer_unreadable` (lua/includes/answers.lua) and `expire` name it. */
export function readUnreadable(reader: ByteReader): Unreadable {
  const sku = reader.ascii8();
  const name = reader.bytes8();
  return sku === ''
    ? { kind: 'record', id: unpackId(name) }
    : { kind: 'cell', sku: sku as Sku, field: name.toString('latin1') as CellField | '' };
}

/** What of a SKU cannot be read; all of it: one without a field. */
export function unreadableOf({ sku, cells, unreadable }: SkuView): Unreadable[] {
  if (unreadable === undefined) return [];
  const fields = cells.flatMap((cell) => (cell.unreadable ? [cell.field] : []));
  return (fields.length === 0 ? ([''] as const) : fields).map((field) => {
    return { kind: 'cell', sku, field };
  });
}

/** The cell, or undefined when it cannot be read. */
export function readableCell(bytes: Buffer): Cell | undefined {
  try {
    return decodeCell(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

export function nameOf(what: Unreadable): string {
  if (what.kind === 'record') return `the record of ${what.id}`;
  return what.field === '' ? `the stock of ${what.sku}` : `the cell ${what.field} of ${what.sku}`;
}

/** What a person does about it; reconcile says so itself where it cannot repair. */
export function repairOf(what: Unreadable): string {
  const scope = what.kind === 'cell' ? `--sku ${what.sku} ` : '';
  return `holdfast reconcile ${scope}--apply`;
}

export function sentenceOf(what: Unreadable): string {
  return `Redis has ${nameOf(what)} no more, or it cannot be read. To repair it: ${repairOf(what)}`;
}

/** A cell that is being sold is met by every request: it is told once in this time. */
const TOLD_AGAIN_MS = 600_000;
/** Beyond them nothing is told: the metric counts on, and reconcile lists all. */
const NAMES_MAX = 1_000;

/** True when `what` was not told lately. `now`: monotonic, ms. */
export function tellOnce(now: () => number): (what: Unreadable) => boolean {
  const told = new Map<string, number>();
  return (what) => {
    const name = nameOf(what);
    const at = told.get(name);
    if (at !== undefined && now() - at < TOLD_AGAIN_MS) return false;
    if (told.size >= NAMES_MAX) forgetOld(told, now() - TOLD_AGAIN_MS);
    if (told.size >= NAMES_MAX) return false;
    told.set(name, now());
    return true;
  };
}

function forgetOld(told: Map<string, number>, before: number): void {
  for (const [name, at] of told) if (at <= before) told.delete(name);
}
