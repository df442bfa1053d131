/**
 * `/healthz`: this process answers. `/readyz`: it can sell, because Redis and PostgreSQL answer and
 * the lane is open. A load balancer takes an engine out by the second, nobody restarts it for that.
 */
import type { Pool } from '../../postgres/pool.ts';
import type { Lane } from '../../redis/lane-port.ts';
import { isRefusal } from '../../redis/lane-port.ts';
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
  readonly probes?: Readonly<Record<string, () => Promise<string | undefined>>>;
}

/** A store that takes longer is no store to sell on. */
const PROBE_TIMEOUT_MS = 1_000;

type Probe = () => Promise<string | undefined>;

export function readinessHandler(deps: ReadinessDeps): Handler {
  const probes: Readonly<Record<string, Probe>> = {
    redis: async () => {
      const answer = await deps.lane.availability([]);
      return answer.outcome === 'store_unavailable' ? answer.detail : undefined;
    },
    lane: async () => {
      const answer = await deps.lane.availability([]);
      return isRefusal(answer) ? `${answer.outcome}: ${answer.detail}` : undefined;
    },
    postgres: async () => {
      await deps.pool.query('SELECT 1');
      return undefined;
    },
    ...deps.probes,
  };
  return async (exchange) => {
    const checked = await Promise.all(
      Object.entries(probes).map(async ([name, probe]) => [name, await run(probe)] as const),
    );
    const checks = Object.fromEntries(checked.map(([name, fault]) => [name, fault ?? 'ok']));
    const isReady = checked.every(([, fault]) => fault === undefined);
    const body = { status: isReady ? 'ready' : 'not_ready', checks };
    if (isReady) exchange.respondJson(200, body);
    else exchange.respondJson(503, body, { 'retry-after': '1' });
  };
}

async function run(probe: Probe): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<string>((resolve) => {
    const late = `no answer within ${PROBE_TIMEOUT_MS} ms`;
    timer = setTimeout(() => resolve(late), PROBE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([probe(), tooLate]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
