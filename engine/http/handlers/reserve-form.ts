/** The two forms of the body of a reserve as one. */
import type { ItemInput } from '../../reservations/cart.ts';
import type { ReserveBody } from '../schema.ts';

export interface ReserveForm {
  readonly items: readonly ItemInput[];
  readonly itemsPointer: '' | '/items';
  /** An array is a cart without anything said about it. */
  readonly about: Omit<ReserveBody, 'items'>;
}

export const NOTHING_SAID: ReserveForm['about'] = Object.freeze({});
