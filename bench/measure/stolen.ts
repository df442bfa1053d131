/** What a hypervisor took from these cores: a phase in which it took much was of another machine. */
import { readFileSync } from 'node:fs';

/** Of all cores together, ticks since the system's start. */
export interface CoreTimes {
  readonly all: number;
  /** Something wanted to run, and the host ran somebody else. */
  readonly stolen: number;
}

/** `cpu  user nice system idle iowait irq softirq steal guest guest_nice`, which user and nice hold already. */
const FIELDS = 8;
const STEAL = 7;

/** Undefined where the system does not tell (no Linux). */
export function readCoreTimes(): CoreTimes | undefined {
  try {
    return parseCoreTimes(readFileSync('/proc/stat', 'utf8'));
  } catch {
    return undefined;
  }
}

export function parseCoreTimes(stat: string): CoreTimes | undefined {
  const fields = /^cpu +(.+)$/m.exec(stat)?.[1]?.split(' ').slice(0, FIELDS).map(Number) ?? [];
  if (fields.length < FIELDS || !fields.every(Number.isFinite)) return undefined;
  return { all: fields.reduce((sum, ticks) => sum + ticks, 0), stolen: fields[STEAL] ?? 0 };
}

/** Of the cores' time between two readings, 0 to 1. */
export function stolenBetween(
  before: CoreTimes | undefined,
  after: CoreTimes | undefined,
): number | undefined {
  if (before === undefined || after === undefined || after.all <= before.all) return undefined;
  return (after.stolen - before.stolen) / (after.all - before.all);
}
