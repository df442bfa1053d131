/** One engine and its HTTP: the role that answers requests. */
import { createEngine, type Engine } from '../engine.ts';
import { registerReadiness } from '../http/handlers/health.ts';
import { apiRoutes } from '../http/routes.ts';
import { startHttpServer } from '../http/server.ts';
import { pause } from '../log/pause.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { type ServeOptions, type Serving, waitForSchema } from './roles.ts';

const GRACE_MS = 5_000;
/** How long a start waits for a Redis that is there, before it goes on without it. */
const WHOLE_MS_MAX = 10_000;

/**
 * Engine and HTTP. Waits for PostgreSQL; listens without Redis, which `engine.whole` waits for, but
 * gives one that is there the time to answer, so that who starts it may sell at once.
 */
export async function startServe(options: ServeOptions): Promise<Serving> {
  const { config, log, worker } = options;
  const own = createMetrics({ processMetrics: true });
  const metrics = worker === undefined ? own : worker.shared(own);
  await waitForSchema(options, 'holdfast-engine');
  const engine = await createEngine({ ...options, metrics });
  try {
    registerReadiness(metrics, engine);
    // Others on the port sell meanwhile: it takes no request that it would have to refuse.
    if (worker !== undefined) await redisThere(options, engine);
    const http = await startHttpServer({
      routes: apiRoutes(engine, { currency: config.currency, probes: engine.probes }),
      host: config.host,
      port: config.port,
      sharesPort: worker !== undefined,
      transport: config.transport,
      limits: { requestsMax: config.requestsMax, queueWaitMsMax: config.queueWaitMsMax },
      traffic: engine.lane.traffic,
      line: engine.line,
      hooks: {
        onRequest: metrics.onRequest,
        onAbort: metrics.onAbort,
        onError: (error, requestId) => log.error({ err: error, request_id: requestId }, 'http'),
      },
    });
    const close = async (): Promise<void> => {
      await http.close(GRACE_MS);
      await engine.close();
    };
    try {
      if (worker === undefined) await redisThere(options, engine);
    } catch (error) {
      await http.close(GRACE_MS);
      throw error;
    }
    return { url: http.url, engine, http, close };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Waits for it to answer, but not long, and not where it is known to be away. */
async function redisThere({ requireRedis, signal }: ServeOptions, engine: Engine): Promise<void> {
  if (requireRedis === undefined) await firstOf(engine.whole, WHOLE_MS_MAX, signal);
}

/** Until the promise is settled, the time is over, or the signal comes. */
async function firstOf(done: Promise<void>, ms: number, signal?: AbortSignal): Promise<void> {
  const waiting = new AbortController();
  const ends = AbortSignal.any([waiting.signal, ...(signal === undefined ? [] : [signal])]);
  await Promise.race([done, pause(ms, ends)]).finally(() => waiting.abort());
}
