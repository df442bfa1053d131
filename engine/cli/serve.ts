/**
 * `holdfast serve`: one engine; or, with workers, several on one port and the supervisor that keeps
 * them alive (engine/cluster). A worker is the same command, started by its supervisor.
 */

import { ClusterFailed, type Supervisor, startSupervisor } from '../cluster/supervisor.ts';
import { type ClusterWorker, joinCluster } from '../cluster/worker.ts';
import type { Config } from '../runtime/config.ts';
import { findFree, ListenError, requireFree } from '../runtime/listen-error.ts';
import { createLogger, type Logger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { untilThere, WaitEnded } from '../runtime/unreachable.ts';
import { CommandError } from './api.ts';
import { requireSettings } from './check-settings.ts';
import { startServe } from './roles.ts';
import { configure, type Held, type Overrides, untilEnded } from './until-ended.ts';
import { verdictOf } from './verdict.ts';

/** Another process may take the port that was free a moment ago. */
const FREE_PORT_TRIES = 5;

/** Listens as soon as PostgreSQL is there; sells when Redis is. */
export async function serve(options: Overrides): Promise<void> {
  const worker = joinCluster();
  if (worker !== undefined) return serveAsWorker(worker);
  const config = configure(process.env, options);
  await requireFree(config.host, config.port);
  if (config.workers > 1) return serveWithWorkers(config);
  const log = createLogger('engine', config.logLevel);
  await untilEnded(async (signal) => {
    const isRedisAway = await isRedisAwayAtStart(config, log, signal);
    const serving = await startServe({ config, log, signal, ...atRedis(config, log, isRedisAway) });
    const { url, engine } = serving;
    process.stdout.write(`${servingLine(config, url, engine.support !== undefined)}\n`);
    return { close: () => serving.close(), failed: engine.whole };
  });
}

/** Looks at the settings of all stores; waits for PostgreSQL alone. */
async function isRedisAwayAtStart(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const { unreachable } = await untilThere({ what: 'the stores', log, signal }, () =>
    requireSettings(config, log, ['postgres']),
  );
  return unreachable.some(({ store }) => store === 'redis');
}

/** A Redis that was away is looked at when it comes, before anything is sold there. */
function atRedis(config: Config, log: Logger, isAway: boolean) {
  return isAway ? { requireRedis: () => requireSettings(config, log, ['redis']) } : {};
}

export function readyLine(url: string, log: string): string {
  return `holdfast is ready at ${url} (log: ${log})`;
}

function servingLine({ kafkaBrokers }: Config, url: string, isWhole: boolean): string {
  const log = kafkaBrokers.length > 0 ? 'kafka' : 'embedded';
  if (isWhole) return readyLine(url, log);
  return `holdfast answers at ${url} and waits for Redis (log: ${log})`;
}

async function serveWithWorkers(config: Config): Promise<void> {
  const log = createLogger('supervisor', config.logLevel);
  try {
    await untilEnded(async (signal) => {
      const isRedisAway = await isRedisAwayAtStart(config, log, signal);
      return await startWorkers(config, { log, signal, isRedisAway });
    });
  } catch (error) {
    if (!(error instanceof ClusterFailed)) throw error;
    throw new CommandError(error.message, error.failure.exitCode);
  }
}

interface Starting {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly isRedisAway: boolean;
}

/** Resolves when all answer. */
async function startWorkers(config: Config, starting: Starting): Promise<Held> {
  const { log, signal, isRedisAway } = starting;
  for (let tries = 1; ; tries += 1) {
    const port = config.port === 0 ? await findFree(config.host) : config.port;
    const supervisor = startSupervisor({
      workers: config.workers,
      script: process.argv[1] ?? '',
      args: ['serve'],
      env: { HOLDFAST_HOST: config.host, HOLDFAST_PORT: String(port) },
      ...{ isRedisAway, log, metrics: createMetrics({ processMetrics: true }) },
    });
    try {
      const { url, isWhole } = await readyOrStopped(supervisor, signal);
      const workers = `${config.workers} workers`;
      process.stdout.write(`${servingLine(config, url, isWhole)}, ${workers}\n`);
      return { close: () => supervisor.stop(), failed: supervisor.ended };
    } catch (error) {
      const isTaken = error instanceof ClusterFailed && error.failure.listenCode === 'EADDRINUSE';
      if (config.port !== 0 || !isTaken || tries === FREE_PORT_TRIES) throw error;
    }
  }
}

/** Rejects with WaitEnded when the signal came first and all have drained. */
async function readyOrStopped(supervisor: Supervisor, signal: AbortSignal) {
  const stop = (): void => void supervisor.stop().catch(() => undefined);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const ended = supervisor.ended.then(() => {
    throw new WaitEnded('ended by a signal');
  });
  try {
    return await Promise.race([supervisor.ready, ended]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function serveAsWorker(worker: ClusterWorker): Promise<void> {
  try {
    const config = configure(process.env, {});
    const log = createLogger('engine', config.logLevel).child({ worker: worker.number });
    await untilEnded(async (signal) => {
      const { isRedisAway } = worker;
      const redis = atRedis(config, log, isRedisAway);
      const serving = await startServe({ config, log, signal, worker, ...redis });
      const { url, engine } = serving;
      const isWhole = engine.support !== undefined;
      worker.answering({ url, isWhole });
      const whole = engine.whole.then(() => {
        if (!isWhole && engine.support !== undefined) worker.answering({ url, isWhole: true });
      });
      return { close: () => serving.close(), failed: whole };
    }, drained(worker.signal));
  } catch (error) {
    tellFailure(worker, error);
  } finally {
    await worker.leave();
  }
}

/** The supervisor says it once for all; an orphan says it itself. */
function tellFailure(worker: ClusterWorker, error: unknown): void {
  const { message = '', exitCode, isFinal } = verdictOf(error);
  const listenCode = error instanceof ListenError ? error.code : undefined;
  process.exitCode = exitCode;
  const isTold = worker.failed({ message, exitCode, isFinal, listenCode });
  if (!isTold) process.stderr.write(`${message}\n`);
}

function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
