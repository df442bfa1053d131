/** Who was killed how often, on the page of evidence. */
import { CRASH_POINTS } from '../../runtime/crash-point.ts';
import { number, table } from './page.ts';
import type { RunRecord } from './record.ts';

export function killsOf(runs: readonly RunRecord[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const { kills = {} } of runs) {
    for (const [what, count] of Object.entries(kills)) all[what] = (all[what] ?? 0) + count;
  }
  return all;
}

/** In the order in which a record meets the steps; engines, which have none, first. */
export function killTable(runs: readonly RunRecord[]): string {
  const kills = killsOf(runs);
  if (Object.keys(kills).length === 0) return '';
  const steps: readonly string[] = Object.values(CRASH_POINTS).flat();
  const names = [...new Set(['engine', ...steps, ...Object.keys(kills)])];
  const rows = names.flatMap((name) => {
    const count = kills[name];
    return count === undefined ? [] : [[`\`${name}\``, number(count)]];
  });
  return `## Kills

SIGKILL to a process of the product: an engine in the middle of its batches, workers at the named step.

${table(['what, or at which step', 'times'], rows)}`;
}
