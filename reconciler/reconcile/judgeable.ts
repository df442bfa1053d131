/**
 * Not all that somebody can put under a lane can be judged: keys that are no hashes, which no script
 * reads and at which a repair would die half way; and names that no entry may have, because an entry
 * with one parks the lane. Both are told, and neither compared nor repaired.
 */
import { isId, splitCellField } from '../../engine/domain/ids.ts';
import type { Asked } from './diagnose.ts';
import { type CellName, type RecordPlace, showName } from './facts.ts';
import type { Finding } from './finding.ts';
import type { Run } from './run-context.ts';

const KEYS_AT_ONCE = 500;

/** The suspects that can be judged; each of the others is a finding. */
export async function judgeable(run: Run): Promise<Asked> {
  const { suspects } = run;
  const { stock, hold } = run.look.keys;
  const keyOfRecord = ({ generation, bucket }: RecordPlace): string => hold(generation, bucket);
  const cells = [...suspects.cells.values()].filter((name) => {
    if (isNameOfCell(name)) return true;
    suspects.addFinding(misnamed(`cell ${JSON.stringify(showName(name))}`, stock(name.sku)));
    return false;
  });
  const products = [...suspects.products].filter((sku) => {
    if (isId(sku)) return true;
    suspects.addFinding(misnamed(`SKU ${JSON.stringify(sku)}`, stock(sku)));
    return false;
  });
  const records = [...suspects.records.values()];
  const stocks = [...cells.map(({ sku }) => sku), ...products].map(stock);
  const keys = new Set([...stocks, ...records.map(keyOfRecord), ...suspects.noHashes]);
  const types = await typesOf(run, [...keys]);
  const broken = new Map([...types].filter(([, type]) => type !== 'hash' && type !== 'none'));
  for (const [key, type] of broken) suspects.addFinding(noHash(key, type));
  return {
    products: products.filter((sku) => !broken.has(stock(sku))),
    cells: cells.filter(({ sku }) => !broken.has(stock(sku))),
    records: records.filter((place) => !broken.has(keyOfRecord(place))),
  };
}

function isNameOfCell({ sku, field }: CellName): boolean {
  const { warehouse, pool } = splitCellField(field);
  return isId(sku) && isId(warehouse) && isId(pool);
}

async function typesOf(run: Run, keys: readonly string[]): Promise<Map<string, string>> {
  const types = new Map<string, string>();
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    const piece = keys.slice(at, at + KEYS_AT_ONCE);
    const found = await run.look.typesOf(piece);
    piece.forEach((key, i) => {
      types.set(key, found[i] ?? 'none');
    });
  }
  return types;
}

function noHash(key: string, type: string): Finding {
  return {
    ...unreadable(key),
    where: `key ${key}`,
    redis: `a ${type}`,
    why: 'the lane keeps a hash there, and what it should hold was not compared; when nobody needs what stands there, remove the key and run again',
  };
}

function misnamed(where: string, key: string): Finding {
  return {
    ...unreadable(key),
    where,
    redis: `a field of ${key}`,
    why: 'no name has this form, so no request can ever ask for it',
  };
}

function unreadable(key: string): Omit<Finding, 'where' | 'redis' | 'why'> {
  return { cause: 'unreadable_record', postgres: '', witness: '', subject: { kind: 'key', key } };
}
