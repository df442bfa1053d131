/** A SKU of `--sku` that no store knows is a slip of the pen: "nothing differs" would hide it. */
import type { Run } from './run-context.ts';

export class UnknownSkus extends Error {
  override readonly name = 'UnknownSkus';
}

/** Throws UnknownSkus. Drift may have left a trace of a SKU in one place only, so all are asked. */
export async function requireKnown(run: Run): Promise<void> {
  const { skus } = run.scope;
  if (skus === undefined) return;
  const types = await run.look.typesOf([...skus].map(run.look.keys.stock));
  const absent = [...skus].filter((_, i) => types[i] === 'none');
  if (absent.length === 0) return;
  const known = await run.stored.snapshot({ epoch: 0, seq: 0 }, async (view) => {
    const rows = await view.longQuery<{ sku: string }>(KNOWN, [absent]);
    return new Set(rows.map(({ sku }) => sku));
  });
  const unknown = absent.filter((sku) => !known.has(sku));
  if (unknown.length === 0) return;
  throw new UnknownSkus(
    `Neither Redis nor PostgreSQL knows ${unknown.join(', ')}: check how --sku spells it`,
  );
}

const KNOWN = `
  SELECT sku FROM unnest($1::text[]) AS asked (sku)
  WHERE EXISTS (SELECT FROM products WHERE sku_id = sku)
     OR EXISTS (SELECT FROM inventory WHERE sku_id = sku)
     OR EXISTS (SELECT FROM reservation_lines WHERE sku_id = sku)
     OR EXISTS (SELECT FROM stock_movements WHERE sku_id = sku)`;
