/**
 * `/healthz`: this process answers. `/readyz`: it has something to answer, so that a load balancer
 * should send requests here: the lane, or stock from PostgreSQL. Not whether the lane is open: it
 * closes for all engines at once, and without any of them callers would see broken connections
 * instead of a 503 with Retry-After, and no stock. The body and `holdfast_ready` say what is wrong.
 */
import type { Pool } from '../../postgres/pool.ts';
import { readerUntil } from '../../postgres/reader.ts';
import type { Lane } from '../../redis/lane-port.ts';
import { isRefusal } from '../../redis/lane-port.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { within } from '../../runtime/within.ts';
import type { Handler } from '../exchange.ts';

export function healthHandler(): Handler {
  return (exchange) => {
    exchange.respondJson(200, { status: 'ok', uptime_s: Math.floor(process.uptime()) });
  };
}

export interface ReadinessDeps {
  readonly lane: Lane;
  readonly pool: Pool;
  /** Further dependencies by name: undefined when all is well, else what is wrong. */
  readonly probes?: Readonly<Record<string, Probe>>;
}

/** A store that takes longer is no store to sell on. */
const PROBE_TIMEOUT_MS = 1_000;

type Probe = () => Promise<string | undefined>;

/** `ready`: all is well. `degraded`: some calls are 503, or soon will be, others answered. `not_ready`: all are 503. */
export type ReadinessStatus = 'ready' | 'degraded' | 'not_ready';

export interface Readiness {
  readonly status: ReadinessStatus;
  /** By name: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

export function readinessHandler(deps: ReadinessDeps): Handler {
  return async (exchange) => {
    const readiness = await readReadiness(deps);
    if (readiness.status !== 'not_ready') exchange.respondJson(200, readiness);
    else exchange.respondJson(503, readiness, { 'retry-after': '1' });
  };
}

/** `holdfast_ready{check}`: 1 where `/readyz` says ok. */
export function registerReadiness(metrics: Pick<Metrics, 'gauge'>, deps: ReadinessDeps): void {
  metrics.gauge('holdfast_ready', 'Whether the check of /readyz is ok.', ['check'], async () => {
    const { checks } = await readReadiness(deps);
    return Object.entries(checks).map(([check, said]) => ({
      labels: { check },
      value: said === OK ? 1 : 0,
    }));
  });
}

const OK = 'ok';

async function readReadiness(deps: ReadinessDeps): Promise<Readiness> {
  const checked = await Promise.all(
    Object.entries(probesOf(deps)).map(async ([name, probe]) => [name, await run(probe)] as const),
  );
  const checks: Record<string, string> = Object.fromEntries(
    checked.map(([name, fault]) => [name, fault ?? OK]),
  );
  return { status: statusOf(checks), checks };
}

function statusOf(checks: Readonly<Record<string, string>>): ReadinessStatus {
  if (Object.values(checks).every((said) => said === OK)) return 'ready';
  return checks.redis === OK || checks.postgres === OK ? 'degraded' : 'not_ready';
}

function probesOf({ lane, pool, probes }: ReadinessDeps): Readonly<Record<string, Probe>> {
  return {
    redis: async () => {
      const answer = await lane.availability([]);
      return answer.outcome === 'store_unavailable' ? answer.detail : undefined;
    },
    lane: async () => {
      const answer = await lane.availability([]);
      return isRefusal(answer) ? `${answer.outcome}: ${answer.detail}` : undefined;
    },
    postgres: async () => {
      await readerUntil(pool, performance.now() + PROBE_TIMEOUT_MS).query('SELECT 1');
      return undefined;
    },
    ...probes,
  };
}

async function run(probe: Probe): Promise<string | undefined> {
  try {
    return await within(probe(), PROBE_TIMEOUT_MS);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
