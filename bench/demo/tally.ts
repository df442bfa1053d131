/** The counts of several waves of shoppers as those of one sale. Pure. */
import type { SaleTally } from '../load/sale.ts';

export function addTallies(first: SaleTally, ...others: readonly SaleTally[]): SaleTally {
  return others.reduce(addTwo, first);
}

function addTwo(left: SaleTally, right: SaleTally): SaleTally {
  return {
    requests: addCounts(left.requests, right.requests),
    duplicates: left.duplicates + right.duplicates,
    retries: left.retries + right.retries,
    answers: addCounts(left.answers, right.answers),
    outcomes: addCounts(left.outcomes, right.outcomes),
    unitsBought: left.unitsBought + right.unitsBought,
    refusals: addNamed(left.refusals, right.refusals),
    violations: [...left.violations, ...right.violations],
  };
}

function addCounts<Name extends string>(
  left: Readonly<Record<Name, number>>,
  right: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const names = Object.keys(left) as Name[];
  const sums = names.map((name) => [name, left[name] + right[name]] as const);
  return Object.fromEntries(sums) as Record<Name, number>;
}

function addNamed(
  left: Readonly<Record<string, number>>,
  right: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sums: Record<string, number> = { ...left };
  for (const [name, n] of Object.entries(right)) sums[name] = (sums[name] ?? 0) + n;
  return sums;
}
