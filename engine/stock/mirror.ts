/**
 * Balances as PostgreSQL has them, for while Redis cannot be asked.
 *
 * A sale's whole traffic may come here at once, and PostgreSQL has other work to do just then: it is
 * what recovery reads. So all who wait share the next statement, few statements run at a time, what
 * was read is shown again for a short published time, every wait is bounded, and a queue that is too
 * long is refused.
 */
import type { Sku } from '../domain/ids.ts';
import { cellField } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';
import type { CellView } from '../redis/operation.ts';

/** One SKU as PostgreSQL had it. */
export interface MirrorView {
  readonly sku: Sku;
  /** Whether it was ever described. */
  readonly known: boolean;
  readonly cells: readonly CellView[];
  /** Lane time of the last entry that PostgreSQL had applied. */
  readonly laneTimeMs: number;
}

export interface MirrorLimits {
  /** How long what was read is shown again. */
  readonly keepMs: number;
  /** How long a caller waits, for its turn and its statement together. */
  readonly waitMs: number;
  /** Statements at a time, of the pool's connections. */
  readonly statementsMax: number;
  /** SKUs of one statement; no fewer than one request may name. */
  readonly statementSkusMax: number;
  /** SKUs that wait for a statement; beyond it callers are refused. */
  readonly waitingSkusMax: number;
  /** SKUs that are kept. */
  readonly keptSkusMax: number;
}

export const MIRROR_LIMITS: MirrorLimits = Object.freeze({
  keepMs: 500,
  waitMs: 1_500,
  // A quarter of the engine's connections: the rest resolves reservations and defines products.
  statementsMax: 2,
  statementSkusMax: 2_000,
  waitingSkusMax: 20_000,
  keptSkusMax: 50_000,
});

/** Times `waitMs`, for a statement: longer than who waits for it, who may have stalled himself. */
const STATEMENT_WAITS = 2;

/** Throws for a SKU that was not asked for. */
export type LookUp = (sku: Sku) => MirrorView;

export interface Mirror {
  /**
   * Where each of the SKUs is looked up: a crowd shares it, and nothing is copied. 'overloaded': too
   * many wait already. Rejects when PostgreSQL fails, or does not answer within the bound.
   */
  read(skus: readonly Sku[]): Promise<LookUp | 'overloaded'>;
}

export interface MirrorOptions {
  readonly pool: Pool;
  readonly lane: number;
  readonly limits?: MirrorLimits;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

type Views = ReadonlyMap<Sku, MirrorView>;

/** The SKUs of one statement, and who waits for it. */
interface Statement {
  readonly skus: Set<Sku>;
  readonly views: Promise<Views>;
  readonly start: () => void;
}

interface Kept {
  readonly view: MirrorView;
  readonly readAtMs: number;
}

export function createMirror(options: MirrorOptions): Mirror {
  return new PostgresMirror(options);
}

class PostgresMirror implements Mirror {
  readonly #options: MirrorOptions;
  readonly #limits: MirrorLimits;
  readonly #now: () => number;
  readonly #kept = new Map<Sku, Kept>();
  /** In order of their start; the last one takes further SKUs. */
  readonly #waiting: Statement[] = [];
  #running = 0;

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#limits = options.limits ?? MIRROR_LIMITS;
    this.#now = options.now ?? (() => performance.now());
  }

  async read(skus: readonly Sku[]): Promise<LookUp | 'overloaded'> {
    const kept = new Map<Sku, MirrorView>();
    const missing: Sku[] = [];
    for (const sku of skus) {
      const found = this.#kept.get(sku);
      if (found !== undefined && this.#now() - found.readAtMs < this.#limits.keepMs) {
        kept.set(sku, found.view);
      } else missing.push(sku);
    }
    if (missing.length === 0) return (sku) => kept.get(sku) ?? unknown(sku);
    const statement = this.#join(missing);
    if (statement === undefined) return 'overloaded';
    const read = await within(this.#limits.waitMs, statement.views);
    return (sku) => kept.get(sku) ?? read.get(sku) ?? unknown(sku);
  }

  /** A statement that will ask for the SKUs; undefined when too many wait. */
  #join(skus: readonly Sku[]): Statement | undefined {
    const { statementSkusMax, waitingSkusMax } = this.#limits;
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.skus.size + skus.length <= statementSkusMax) {
      for (const sku of skus) last.skus.add(sku);
      return last;
    }
    const waiting = this.#waiting.reduce((sum, { skus: { size } }) => sum + size, 0);
    if (waiting + skus.length > waitingSkusMax) return undefined;
    const statement = this.#prepare(new Set(skus));
    this.#waiting.push(statement);
    this.#startNext();
    return statement;
  }

  #prepare(skus: Set<Sku>): Statement {
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const views = started.then(() => this.#select([...skus]));
    // Everybody who waited may have gone by the time it fails.
    views.catch(() => undefined);
    return { skus, views, start };
  }

  #startNext(): void {
    if (this.#running >= this.#limits.statementsMax) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#running += 1;
    const end = (): void => {
      this.#running -= 1;
      this.#startNext();
    };
    next.views.then(end, end);
    next.start();
  }

  async #select(skus: readonly Sku[]): Promise<Views> {
    const { pool, lane } = this.#options;
    // node-postgres drops the connection of a query that takes longer; its types do not know that.
    const bounded = {
      text: SELECT_MIRROR,
      values: [skus, lane],
      query_timeout: STATEMENT_WAITS * this.#limits.waitMs,
    };
    const { rows } = await pool.query<MirrorRow>(bounded);
    const views = toViews(rows);
    this.#keep(views);
    return views;
  }

  #keep(views: Views): void {
    if (this.#kept.size + views.size > this.#limits.keptSkusMax) this.#kept.clear();
    const readAtMs = this.#now();
    for (const [sku, view] of views) this.#kept.set(sku, { view, readAtMs });
  }
}

/** One statement, so that balances and position are of one snapshot. */
const SELECT_MIRROR = `
  SELECT asked.sku_id, at.time_ms, p.sku_id IS NOT NULL AS known, i.warehouse_id, i.pool,
         i.available_qty, i.reserved_qty, i.allocated_qty, i.version
  FROM unnest($1::text[]) AS asked (sku_id)
  CROSS JOIN (SELECT time_ms FROM positions WHERE lane = $2) at
  LEFT JOIN products p ON p.sku_id = asked.sku_id
  LEFT JOIN inventory i ON i.sku_id = p.sku_id AND i.lane = $2`;

/** The columns of `inventory` are null together, for a SKU that was never received. */
interface MirrorRow {
  readonly sku_id: Sku;
  readonly time_ms: number;
  readonly known: boolean;
  readonly warehouse_id: string | null;
  readonly pool: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  readonly version: number;
}

function toViews(rows: readonly MirrorRow[]): Views {
  const views = new Map<Sku, MirrorView & { readonly cells: CellView[] }>();
  for (const row of rows) {
    const { sku_id: sku, known, time_ms: laneTimeMs } = row;
    const view = views.get(sku) ?? { sku, known, laneTimeMs, cells: [] };
    views.set(sku, view);
    if (row.warehouse_id === null) continue;
    view.cells.push({
      field: cellField(row.warehouse_id, row.pool),
      available: row.available_qty,
      reserved: row.reserved_qty,
      allocated: row.allocated_qty,
      version: row.version,
    });
  }
  return views;
}

/** Every SKU that is asked for has a row; without the position's row none has. */
function unknown(sku: Sku): never {
  throw new Error(`PostgreSQL gave no row for ${sku}: run \`holdfast migrate\``);
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`PostgreSQL did not answer within ${ms} ms`);
    // An engine that stalled reads first what came meanwhile.
    timer = setTimeout(() => setImmediate(reject, error), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
