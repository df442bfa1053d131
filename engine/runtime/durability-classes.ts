/** `HOLDFAST_DURABILITY_CLASSES`: the levels of classes of products, as JSON, checked as a whole. */
import type * as z from 'zod';
import type { ClassLevels } from '../domain/durability.ts';
import { DURABILITY_LEVELS, DURABLE_VERBS, isDurabilityLevel } from '../domain/durability.ts';

export const CLASS_NAME = /^[A-Za-z0-9._:-]{1,64}$/;

type Issues = Pick<z.RefinementCtx, 'addIssue'>;

/** For zod's `transform`: adds an issue for each fault. */
export function readDurabilityClasses(
  text: string,
  issues: Issues,
): ReadonlyMap<string, ClassLevels> {
  const classes = new Map<string, ClassLevels>();
  const given = parseObject(text);
  if (given === undefined) {
    issues.addIssue(
      'is not a JSON object of classes, such as {"hot": {"reserve": "memory"}, "jewel": {"commit": "persisted"}}',
    );
    return classes;
  }
  for (const [name, table] of Object.entries(given)) {
    const faults = faultsOf(name, table);
    for (const fault of faults) issues.addIssue(fault);
    if (faults.length === 0) classes.set(name, table as ClassLevels);
  }
  return classes;
}

function faultsOf(name: string, table: unknown): string[] {
  if (!CLASS_NAME.test(name)) {
    return [`the class "${name}" is not named by 1 to 64 characters of A-Z a-z 0-9 . _ : -`];
  }
  if (!isObject(table)) return [`class ${name} names no verbs with their levels`];
  return Object.entries(table).flatMap(([verb, level]) => {
    if (!(DURABLE_VERBS as readonly string[]).includes(verb)) {
      return [`class ${name}: "${verb}" is none of ${DURABLE_VERBS.join(', ')}`];
    }
    if (typeof level === 'string' && isDurabilityLevel(level)) return [];
    return [
      `class ${name}, ${verb}: ${JSON.stringify(level)} is none of ${DURABILITY_LEVELS.join(', ')}`,
    ];
  });
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
