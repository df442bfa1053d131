/** Grouping of lines; Node 20 has no Map.groupBy. */

/** Groups in the order in which their keys first appear, each in the order of the items. */
export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export function sumOf<T>(items: Iterable<T>, quantityOf: (item: T) => number): number {
  let sum = 0;
  for (const item of items) sum += quantityOf(item);
  return sum;
}
