/**
 * Repairs, one at a time. Each is all or nothing and guarded by what was seen, so it does not matter
 * when this ends in the middle: what was done is done once, and what was not is found again. What
 * has moved on is judged again, and given up after some attempts: the next run sees it.
 */
import type { Pool } from '../../engine/postgres/pool.ts';
import { type CrashPoint, noCrashPoint } from '../../engine/runtime/crash-point.ts';
import { diagnoseAgain } from './diagnose.ts';
import { encodeRepair } from './encode-repair.ts';
import type { Finding } from './finding.ts';
import type { Run } from './run-context.ts';

const ATTEMPTS_MAX = 8;

export type RepairStatus =
  | 'repaired'
  /** Nothing tells what is right. */
  | 'undecided'
  /** It went by itself before the repair came. */
  | 'gone'
  /** It moved on in every attempt. */
  | 'contended';

export interface Applied {
  readonly finding: Finding;
  readonly status: RepairStatus;
}

export interface ApplyDeps {
  readonly pool: Pool;
  readonly crash?: CrashPoint;
}

export async function applyRepairs(
  run: Run,
  findings: readonly Finding[],
  { pool, crash = noCrashPoint }: ApplyDeps,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const finding of findings) {
    run.signal.throwIfAborted();
    crash('reconcile.before_repair');
    applied.push(await applyOne(run, finding, pool));
    crash('reconcile.after_repair');
    run.progress('repairs');
  }
  return applied;
}

async function applyOne(run: Run, first: Finding, pool: Pool): Promise<Applied> {
  let finding = first;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (finding.repair === undefined) return { finding, status: 'undecided' };
    if (await isDone(run, finding, pool)) return { finding, status: 'repaired' };
    const again = await diagnoseAgain(run, finding.subject);
    if (again === undefined) return { finding, status: 'gone' };
    finding = again;
  }
  return { finding, status: 'contended' };
}

async function isDone(run: Run, { repair, cause }: Finding, pool: Pool): Promise<boolean> {
  if (repair === undefined) return false;
  if (repair.by === 'postgres') {
    const { text, values } = repair.statement;
    const { rowCount } = await pool.query(text, [run.stored.lane, ...values]);
    return (rowCount ?? 0) > 0;
  }
  const { isDone: done } = await run.look.repair(encodeRepair(repair, cause));
  return done;
}
