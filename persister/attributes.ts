/**
 * The JSON attributes of an operation. The engine wrote them from a request that it had validated;
 * still nothing here may stop the persister: what is not as expected is left out.
 */
import type { Attribution } from './rows.ts';

export interface OperationAttributes extends Attribution {
  readonly reason: string | undefined;
  readonly referenceType: string | undefined;
  readonly referenceId: string | undefined;
  /** Of a stock operation, by the position of the line. */
  readonly lines: readonly LineCost[];
}

export interface LineCost {
  /** Decimal number as text. */
  readonly unitCost: string | undefined;
  readonly currency: string | undefined;
}

export const NO_ATTRIBUTES: OperationAttributes = {
  orderId: undefined,
  customerId: undefined,
  channel: undefined,
  actor: undefined,
  reason: undefined,
  referenceType: undefined,
  referenceId: undefined,
  lines: [],
};

/** Costs beyond this are no costs, and `numeric` would store any number of digits. */
const DECIMAL = /^-?\d{1,18}(\.\d{1,12})?$/;

export function readAttributes(json: string): OperationAttributes {
  if (json === '') return NO_ATTRIBUTES;
  const from = parseObject(json);
  if (from === undefined) return NO_ATTRIBUTES;
  return {
    orderId: text(from.order_id),
    customerId: text(from.customer_id),
    channel: text(from.channel),
    actor: text(from.actor),
    reason: text(from.reason),
    referenceType: text(from.reference_type),
    referenceId: text(from.reference_id),
    lines: Array.isArray(from.lines) ? from.lines.map(readLine) : [],
  };
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null;
}

function readLine(value: unknown): LineCost {
  const line = isObject(value) ? value : {};
  return { unitCost: decimal(line.unit_cost), currency: text(line.currency) };
}

/** PostgreSQL stores every character but U+0000, which stops a COPY. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
}

function decimal(value: unknown): string | undefined {
  const written = typeof value === 'number' ? String(value) : value;
  return typeof written === 'string' && DECIMAL.test(written) ? written : undefined;
}
