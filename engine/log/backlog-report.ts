/** The backlog as an operator sees it: one line in the log for each level, gauges, and counters. */
import type { BaseLogger } from 'pino';
import type { Metrics } from '../runtime/metrics.ts';
import { BACKLOG_LEVELS, type BacklogLevel } from './backlog.ts';
import type { BacklogHooks, BacklogWatch } from './backlog-watch.ts';

const MEANS: Readonly<Record<BacklogLevel, string>> = {
  calm: 'the log has room again',
  alarm: 'the log is filling up: bring PostgreSQL (and Kafka) back, or nothing new is sold soon',
  full: 'the log is full: reserves, extensions, cancels, ships and stock operations are refused',
  hard: 'the log is at its hard bound: commits and releases are refused too, and nothing expires',
};
const SEVERITY = { calm: 'info', alarm: 'warn', full: 'error', hard: 'error' } as const;

export function reportBacklog(
  log: Pick<BaseLogger, 'info' | 'warn' | 'error'>,
  metrics: Pick<Metrics, 'countBacklogLevel' | 'countLogFull'>,
): Omit<BacklogHooks, 'onError'> {
  return {
    onLevel: (level, told) => {
      metrics.countBacklogLevel(level);
      log[SEVERITY[level]]({ level, backlog: told }, MEANS[level]);
    },
    onRefused: metrics.countLogFull,
  };
}

export function registerBacklog({ gauge }: Pick<Metrics, 'gauge'>, watch: BacklogWatch): void {
  const each = (name: string, help: string, read: () => number): void =>
    gauge(`holdfast_log_backlog_${name}`, help, [], read);
  each('entries', 'Entries that PostgreSQL does not have yet.', () => watch.size.entries);
  each('bytes', "Of Redis's memory, for these entries; estimated.", () => watch.size.bytes);
  each('age_seconds', 'How long the oldest of them waits.', () => watch.size.ageMs / 1_000);
  each('share', 'Of the bound; 0.7 alarms, at 1 nothing new is sold.', () => watch.share);
  gauge('holdfast_log_backlog_level', '1 for the level that it is in.', ['level'], () =>
    BACKLOG_LEVELS.map((level) => ({ labels: { level }, value: Number(level === watch.level) })),
  );
}
