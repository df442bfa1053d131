/**
 * Which class a product is of, cached in the engine; PostgreSQL is its source.
 *
 * The class is an attribute of the product like its weight, so it stands in `products` alone: the
 * lane and its log know that a SKU exists and nothing else of it, and no decision of a script hangs
 * on its class. Only products of the classes that have levels are held, so a catalogue of millions
 * costs what its few marked products cost. What is cached was in PostgreSQL at most REFRESH_MS
 * before its last use, or was put through this engine since; while PostgreSQL cannot be asked, the
 * old answer stands.
 */
import type { Sku } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';

export interface SkuClasses {
  /** Where it is one of those that have levels. From the cache alone. */
  readonly of: (sku: Sku) => string | undefined;
  /** A product was just written by this engine. */
  put(sku: Sku, productClass: string | null): void;
  /** Reads all; at start. */
  load(): Promise<void>;
}

/** Another engine may change a class; nobody waits for that on the spot. */
const REFRESH_MS = 30_000;

/** `classes`: those that have levels. */
export function createSkuClasses(
  pool: Pool,
  classes: readonly string[],
  nowMs: () => number = () => performance.now(),
): SkuClasses {
  let cached = new Map<Sku, string>();
  /** What was put while a read was under way, which may have missed it. */
  let putSince: Map<Sku, string | null> | undefined;
  let refreshedAtMs = nowMs();

  const store = (into: Map<Sku, string>, sku: Sku, productClass: string | null): void => {
    if (productClass !== null && classes.includes(productClass)) into.set(sku, productClass);
    else into.delete(sku);
  };

  const load = async (): Promise<void> => {
    refreshedAtMs = nowMs();
    if (classes.length === 0) return;
    const since = new Map<Sku, string | null>();
    putSince = since;
    const { rows } = await pool.query<{ sku_id: Sku; class: string }>(
      'SELECT sku_id, class FROM products WHERE class = ANY ($1)',
      [classes],
    );
    const read = new Map(rows.map((row) => [row.sku_id, row.class]));
    for (const [sku, productClass] of since) store(read, sku, productClass);
    cached = read;
  };

  return {
    load,
    of(sku) {
      if (classes.length > 0 && nowMs() - refreshedAtMs > REFRESH_MS) load().catch(keepOldAnswers);
      return cached.get(sku);
    },
    put(sku, productClass) {
      store(cached, sku, productClass);
      putSince?.set(sku, productClass);
    },
  };
}

/** The next use tries again. */
function keepOldAnswers(): void {}
