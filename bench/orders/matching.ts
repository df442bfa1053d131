/** What customers have bought so far, so that a cancelled line finds the order that it cancels. Pure but stateful. */

/** Units of one SKU of one order that a cancellation takes back. */
export interface Match {
  readonly orderId: string;
  readonly quantity: number;
}

interface Bought {
  readonly orderId: string;
  /** Units that no cancellation has taken back yet. */
  left: number;
}

export class Purchases {
  readonly #bought = new Map<string, Bought[]>();

  add(customerId: string | undefined, skuId: string, orderId: string, quantity: number): void {
    if (customerId === undefined) return;
    const key = purchaseKey(customerId, skuId);
    const bought = this.#bought.get(key) ?? [];
    bought.push({ orderId, left: quantity });
    this.#bought.set(key, bought);
  }

  /**
   * Takes units back from the customer's purchases of the SKU, the latest first, and says from which orders.
   * What they do not cover is not in the answer.
   */
  takeBack(customerId: string | undefined, skuId: string, quantity: number): readonly Match[] {
    if (customerId === undefined) return [];
    const matches: Match[] = [];
    let wanted = quantity;
    for (const bought of (this.#bought.get(purchaseKey(customerId, skuId)) ?? []).toReversed()) {
      const taken = Math.min(wanted, bought.left);
      if (taken === 0) continue;
      bought.left -= taken;
      wanted -= taken;
      matches.push({ orderId: bought.orderId, quantity: taken });
    }
    return matches;
  }
}

/** A customer id has no slash, so two pairs never share a key. */
export function purchaseKey(customerId: string, skuId: string): string {
  return `${customerId}/${skuId}`;
}
