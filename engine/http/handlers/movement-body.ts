/** The body of a stock operation, one line or several, as the service takes it. */
import type { MovementLine, MovementRequest } from '../../stock/movement.ts';
import type { ProblemError } from '../problem.ts';

interface LineBody {
  readonly sku_id: string | number;
  readonly warehouse_id: string | number;
  readonly quantity: number;
  readonly unit_cost?: string | number;
  readonly currency?: string;
}

interface AboutBody {
  readonly reason?: string;
  readonly reference?: { readonly type: string; readonly id: string | number };
}

export type MovementBody =
  | (LineBody & AboutBody)
  | (AboutBody & { readonly lines: readonly LineBody[] });

/** What the service takes, and where the lines stand in the body. */
export interface Movement
  extends Pick<MovementRequest, 'lines' | 'reason' | 'referenceType' | 'referenceId'> {
  /** JSON pointer of a line; '' for the one line of the short form. */
  readonly pointerOf: (line: number) => string;
}

const COST = /^[0-9]{1,12}(\.[0-9]{1,4})?$/;

/** `currency`: of a cost that names none. */
export function readMovement(
  body: MovementBody,
  currency: string,
): Movement | { readonly faults: readonly ProblemError[] } {
  const isSingle = !('lines' in body);
  const items = isSingle ? [body] : body.lines;
  const pointerOf = (line: number): string => (isSingle ? '' : `/lines/${line}`);
  const faults: ProblemError[] = [];
  const lines = items.map((item, index): MovementLine => {
    const fault = lineFault(item);
    if (fault !== undefined) {
      faults.push({ pointer: `${pointerOf(index)}/${fault.field}`, message: fault.message });
    }
    const unitCost = item.unit_cost === undefined ? undefined : String(item.unit_cost);
    return {
      sku: String(item.sku_id),
      warehouse: String(item.warehouse_id),
      delta: item.quantity,
      unitCost,
      currency: unitCost === undefined ? undefined : (item.currency ?? currency),
    };
  });
  if (faults.length > 0) return { faults: faults.slice(0, FAULTS_SHOWN_MAX) };
  const { reference } = body;
  return {
    lines,
    pointerOf,
    reason: body.reason,
    referenceType: reference?.type,
    referenceId: reference === undefined ? undefined : String(reference.id),
  };
}

const FAULTS_SHOWN_MAX = 10;

/** What the schema cannot say. */
function lineFault(item: LineBody): { field: keyof LineBody; message: string } | undefined {
  if (item.quantity === 0) {
    return { field: 'quantity', message: 'must not be 0: it would change nothing' };
  }
  if (item.unit_cost !== undefined && !COST.test(String(item.unit_cost))) {
    const shown = String(item.unit_cost);
    return { field: 'unit_cost', message: `has more than 4 decimals: ${shown}` };
  }
  if (item.currency === undefined) return undefined;
  if (item.unit_cost === undefined) {
    return { field: 'currency', message: 'says nothing without a unit_cost' };
  }
  if (CURRENCIES.has(item.currency)) return undefined;
  return { field: 'currency', message: `must be a currency of ISO 4217, not "${item.currency}"` };
}

/** As this Node's ICU has them. */
const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));
