/** What the model test asks of an engine, and what it is told: requests as data, one line each. */

/** Units of one line at one warehouse, as a reply shows them and as the model keeps them. */
export interface HeldUnits {
  readonly line: number;
  readonly sku: string;
  readonly warehouse: string;
  units: number;
}

/** Units of a SKU: from one warehouse, from the first of a list, or from anywhere. */
export interface Item {
  readonly sku: string;
  readonly quantity: number;
  readonly warehouses: readonly string[];
}

export interface ReserveAsk {
  readonly kind: 'reserve';
  /** `fresh`: the engine makes the id. */
  readonly by: { readonly fresh: true } | { readonly key: string } | { readonly id: string };
  readonly items: readonly Item[];
  readonly partial: boolean;
  readonly split: boolean;
  readonly ttlS: number;
}

/** Units of a SKU, at one warehouse or wherever the reservation has them. */
export interface NamedUnits {
  readonly sku: string;
  readonly warehouse?: string;
  readonly quantity: number;
}

export type Verb = 'commit' | 'release' | 'cancel' | 'ship';

export interface SettleAsk {
  readonly kind: 'settle';
  readonly verb: Verb;
  readonly id: string;
  readonly lines?: readonly NamedUnits[];
  readonly key?: string;
  /** Of a commit: take the units again, should the hold be gone. */
  readonly holdEpoch?: number;
}

export interface ExtendAsk {
  readonly kind: 'extend';
  readonly id: string;
  readonly ttlS: number;
}

export interface StockAsk {
  readonly kind: 'stock';
  readonly verb: 'receive' | 'adjust';
  readonly key?: string;
  readonly lines: readonly {
    readonly sku: string;
    readonly warehouse: string;
    readonly delta: number;
  }[];
}

export interface LookAsk {
  readonly kind: 'look';
  readonly id: string;
}

export type Ask = ReserveAsk | SettleAsk | ExtendAsk | StockAsk | LookAsk;

export interface Reply {
  readonly status: number;
  /** The problem's code; undefined with a success. */
  readonly code: string | undefined;
  readonly replayed: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A line of the story: what was asked. */
export function showAsk(ask: Ask): string {
  switch (ask.kind) {
    case 'reserve': {
      const items = ask.items.map(({ sku, quantity, warehouses }) => {
        const from = warehouses.length === 0 ? '' : ` at ${warehouses.join(' or ')}`;
        return `${quantity} ${sku}${from}`;
      });
      const who =
        'fresh' in ask.by ? 'a new id' : 'key' in ask.by ? `key ${ask.by.key}` : ask.by.id;
      const terms = `${ask.partial ? ', partial' : ''}${ask.split ? '' : ', unsplit'}`;
      return `reserve ${items.join(' + ')} for ${ask.ttlS} s${terms} under ${who}`;
    }
    case 'settle': {
      const lines = ask.lines?.map((line) => `${line.quantity} ${line.sku}${at(line.warehouse)}`);
      const key = ask.key === undefined ? '' : ` under key ${ask.key}`;
      const again = ask.holdEpoch === undefined ? '' : `, made in epoch ${ask.holdEpoch}`;
      return `${ask.verb} ${lines?.join(' + ') ?? 'all'} of ${ask.id}${again}${key}`;
    }
    case 'extend':
      return `extend ${ask.id} by ${ask.ttlS} s`;
    case 'stock': {
      const lines = ask.lines.map(({ sku, warehouse, delta }) => `${delta} ${sku}${at(warehouse)}`);
      const key = ask.key === undefined ? '' : ` under key ${ask.key}`;
      return `${ask.verb} ${lines.join(' + ')}${key}`;
    }
    case 'look':
      return `look at ${ask.id}`;
  }
}

function at(warehouse: string | undefined): string {
  return warehouse === undefined ? '' : ` at ${warehouse}`;
}

export function showReply(reply: Reply): string {
  const { status, code, replayed, body } = reply;
  const said = code ?? textOf(body.status) ?? 'done';
  const id = textOf(body.reservation_id);
  return `${status} ${said}${replayed ? ' (replayed)' : ''}${id === undefined ? '' : ` ${id}`}`;
}

/** A member of a body that is text; undefined where it is not. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
