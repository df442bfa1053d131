/** Decides what one line of the real orders is: the one place where the traps of the data are told apart. */
import { isId } from '../../engine/domain/ids.ts';
import type { OrderLine } from './parse.ts';

/** Codes that the retailer books among its SKUs, and what they are. Nothing of these stands in a warehouse. */
export const NOT_GOODS: ReadonlyMap<string, string> = new Map([
  ['POST', 'postage'],
  ['DOT', 'postage of the Dotcom channel'],
  ['C2', 'carriage'],
  ['M', 'a manual entry'],
  ['D', 'a discount'],
  ['BANK CHARGES', 'bank charges'],
]);

export type LineKind =
  /** A customer bought it (a gift within a paid cart costs 0 and is sold all the same). */
  | 'sale'
  /** A line of a C invoice: something bought comes back. */
  | 'cancellation'
  /** Negative without a C: written off, because units are damaged or missing. */
  | 'write_off'
  /** Positive, at no price and for no customer: units found or put back by the shop itself. */
  | 'found'
  | 'not_goods'
  /** The code is no id that the engine accepts. None but BANK CHARGES in this file, which is no goods either. */
  | 'invalid_id';

export function classify(line: OrderLine): LineKind {
  if (NOT_GOODS.has(line.sku)) return 'not_goods';
  if (!isId(line.sku)) return 'invalid_id';
  if (line.isCancellation) return 'cancellation';
  if (line.quantity < 0) return 'write_off';
  if (line.unitPricePence <= 0 && line.customerId === undefined) return 'found';
  return 'sale';
}

export type WriteOffReason = 'damage' | 'loss';

/** The shop's note stands where the description would. Most are empty: then the units are just not there. */
export function writeOffReason(description: string): WriteOffReason {
  return /damag|broken|crush|crack|wet|mould|rust|thrown|smash|faulty/i.test(description)
    ? 'damage'
    : 'loss';
}
