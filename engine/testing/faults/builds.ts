/** Which lines of the results come from one build: what two builds did is not one result. Pure. */
import type { FaultRecord } from './record.ts';

/** Of lines that were written before lines told. */
const UNKNOWN = 'unknown';

export function commitOf({ commit }: FaultRecord): string {
  return commit ?? UNKNOWN;
}

/** Each build that has a run among these, in the order of their first lines. */
export function buildsOf(records: readonly FaultRecord[]): string[] {
  return [...new Set(records.filter(isResult).map(commitOf))];
}

/** What the build of the last result wrote, and what was skipped for want of something, by any build. */
export function ofLastBuild(records: readonly FaultRecord[]): {
  readonly commit: string;
  readonly taken: readonly FaultRecord[];
} {
  const commit = buildOf(records.filter(isResult).at(-1));
  const isTaken = (record: FaultRecord): boolean =>
    commitOf(record) === commit || (record.kind === 'skipped' && record.commit === undefined);
  return { commit, taken: records.filter(isTaken) };
}

function buildOf(record: FaultRecord | undefined): string {
  return record === undefined ? UNKNOWN : commitOf(record);
}

function isResult({ kind }: FaultRecord): boolean {
  return kind === 'run' || kind === 'races';
}
