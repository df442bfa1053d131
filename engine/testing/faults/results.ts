/** Where the runs of an invocation are written down: a line each, and the trace of what went wrong. */
import { appendFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { readEnvironment, renderEnvironment } from '../../../bench/environment.ts';
import { beginTestRun, clearTestRun } from '../test-run.ts';
import type { FaultRecord, RunRecord } from './record.ts';
import type { RunResult } from './run-fault.ts';
import type { FaultStack } from './stack.ts';
import type { FaultViolation } from './verdict.ts';

const SHOWN_MAX = 10;

export function say(text: string): void {
  process.stderr.write(`faults: ${text}\n`);
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The servers of this process end with it, however it ends. */
export function openTestRun(): void {
  const run = beginTestRun();
  process.once('exit', () => clearTestRun(run.directory));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => process.exit(130));
  }
}

/** The first of them, a line each. */
export function shown(violations: readonly FaultViolation[]): string[] {
  return violations
    .slice(0, SHOWN_MAX)
    .map(({ invariant, where, what }) => `${invariant} ${where}: ${what}`);
}

export class Results {
  readonly #path: string;
  /** Of the build that runs, as it was when the first stack was there. */
  #commit: string | undefined;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
  }

  /** Beside the results. */
  beside(name: string): string {
    return join(dirname(this.#path), name);
  }

  write(record: FaultRecord): void {
    const load = Math.round((loadavg()[0] ?? 0) * 100) / 100;
    const commit = this.#commit;
    const line = { ...record, ...(commit !== undefined && { commit }), load };
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }

  async writeConditions(stack: FaultStack): Promise<void> {
    const environment = await readEnvironment(await stack.primary(), stack.pool);
    const words = renderEnvironment(environment).split('\n').slice(1, -1);
    this.#commit ??= environment.commit;
    this.write({ kind: 'conditions', at: environment.at, words });
  }

  /** Writes and says it; true when a promise was broken, which leaves a trace too. */
  take({ record, history }: RunResult, stack: FaultStack): boolean {
    this.write(record);
    say(lineOf(record));
    if (record.violations.length === 0) return false;
    const name = `${record.fault}-${record.log}-${record.seed}-${record.run}`;
    const path = this.beside(`trace-${name}.jsonl`);
    const lines = [...record.violations, ...record.notes, ...history.events()];
    writeFileSync(path, lines.map((each) => JSON.stringify(each)).join('\n'));
    this.#keepServerLogs(`servers-${name}`, stack);
    for (const violation of shown(record.violations)) say(`  ${violation}`);
    say(`  the trace is in ${path}`);
    return true;
  }

  /** Of the data nodes and Sentinels, whose directories go. */
  #keepServerLogs(name: string, { group }: FaultStack): void {
    const directory = this.beside(name);
    mkdirSync(directory, { recursive: true });
    for (const { index, dir } of group.nodes) {
      for (const [kind, of] of [['data', dir] as const, ['sentinel', join(dir, '../sentinel')]]) {
        const from = join(of, 'server.log');
        if (existsSync(from)) cpSync(from, join(directory, `${kind}-${index}.log`));
      }
    }
  }
}

export function lineOf(record: RunRecord): string {
  const { fault, log, run, stopped_ms, stopped_old_ms, converged_ms, attempts } = record;
  const again = record.selling_again_ms ?? '-';
  const lost = record.levels
    .filter((level) => level.lost > 0)
    .map((count) => `${count.verb} at ${count.level} ${count.lost}/${count.acknowledged}`);
  const recovered = record.recoveries.map(({ ms, outcome }) => `${outcome} ${ms} ms`).join('; ');
  return (
    `${fault} ${log} ${run}: ${attempts} attempts, stopped ${stopped_ms} ms (old side ${stopped_old_ms}), ` +
    `selling again after ${again} ms, open ${record.reopened_ms ?? '-'} ms after promotion, recovery ${recovered || 'none'}, converged ${converged_ms} ms, oversold ${record.oversold}, ` +
    `lost ${lost.join(', ') || 'nothing'}, violations ${record.violations.length}`
  );
}
