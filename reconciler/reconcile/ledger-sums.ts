/** Sums of movements, and their reverse. */
import type { Balances, ForgedMovement } from './facts.ts';

export function netOf(movements: readonly ForgedMovement[]): Balances {
  const sums = { available: 0, reserved: 0, allocated: 0 };
  for (const { source, dest, quantity } of movements) {
    if (source in sums) sums[source as keyof Balances] -= quantity;
    if (dest in sums) sums[dest as keyof Balances] += quantity;
  }
  return sums;
}

export function reversed(movements: readonly ForgedMovement[]) {
  return movements.map(({ source, dest, quantity }) => ({ source: dest, dest: source, quantity }));
}
