// Starts the HTTP server: chooses the transport, wires routes, limits and hooks to it.

import type { ExchangeContext } from './exchange.ts';
import { listenNode } from './node.ts';
import { NO_TRAFFIC } from './pace.ts';
import type {
  HttpHooks,
  HttpServer,
  HttpServerOptions,
  Listening,
  TransportName,
  TransportOptions,
} from './port.ts';
import { DEFAULT_HTTP_LIMITS } from './port.ts';
import { requestIds } from './request-id.ts';
import { Router } from './router.ts';
import { listenUws } from './uws.ts';
import type { UwsLoad } from './uws-load.ts';
import { loadUws } from './uws-load.ts';

export type {
  HttpServer,
  HttpServerOptions,
  TransportName,
} from './port.ts';

/**
 * The transport that the environment forces: `HOLDFAST_HTTP=uws|node`, or undefined when it leaves
 * the choice open. Throws on another value.
 */
export function forcedTransport(
  env: Readonly<Record<string, string | undefined>>,
): TransportName | undefined {
  const value = env.HOLDFAST_HTTP;
  if (value === undefined || value === '') return undefined;
  if (value === 'uws' || value === 'node') return value;
  throw new Error(`HOLDFAST_HTTP is '${value}'; it may be 'uws' or 'node', or be left out`);
}

/**
 * Listens and serves the routes. Rejects when a route is malformed or declared twice, when the
 * forced transport cannot be loaded, or when the address cannot be taken. `load` finds uWS.
 */
export async function startHttpServer(
  options: HttpServerOptions,
  load: () => Promise<UwsLoad> = loadUws,
): Promise<HttpServer> {
  const host = options.host ?? '127.0.0.1';
  const started = await listen(options.transport, load, {
    router: new Router(options.routes),
    host,
    port: options.port,
    sharesPort: options.sharesPort ?? false,
    limits: { ...DEFAULT_HTTP_LIMITS, ...options.limits },
    traffic: options.traffic ?? NO_TRAFFIC,
    line: options.line,
    context: contextOf(options),
    nextRequestId: requestIds(),
  });
  const { listening } = started;
  const authority = host.includes(':') ? `[${host}]` : host;
  return {
    transport: started.transport,
    implementation: started.implementation,
    fallbackReason: started.fallbackReason,
    host,
    port: listening.port,
    url: `http://${authority}:${listening.port}`,
    close: (graceMs) => listening.close(graceMs),
  };
}

interface Started {
  readonly transport: TransportName;
  readonly implementation: string;
  readonly fallbackReason: string | undefined;
  readonly listening: Listening;
}

async function listen(
  forced: TransportName | undefined,
  loadBuild: () => Promise<UwsLoad>,
  options: TransportOptions,
): Promise<Started> {
  const load = forced === 'node' ? undefined : await loadBuild();
  if (load?.kind === 'loaded') {
    return {
      transport: 'uws',
      implementation: load.uws.packageName,
      fallbackReason: undefined,
      listening: await listenUws(load.uws, options),
    };
  }
  if (forced === 'uws') {
    throw new Error(
      `the transport 'uws' was asked for, but no build of uWebSockets.js can be loaded on ` +
        `Node ${process.versions.node} (${load?.reason}); install one, or set HOLDFAST_HTTP=node`,
    );
  }
  return {
    transport: 'node',
    implementation: 'node:http',
    fallbackReason: load?.reason,
    listening: await listenNode(options),
  };
}

/** The hooks, made safe: what one of them throws must not change any answer. */
function contextOf(options: HttpServerOptions): ExchangeContext {
  const { onRequest, onAbort, onError = printError } = options.hooks ?? {};
  return {
    problemBaseUrl: options.problemBaseUrl ?? '',
    onError: (error, requestId) => guarded(() => onError(error, requestId)),
    onAnswered: (exchange, status) => {
      if (onRequest === undefined) return;
      const durationMs = performance.now() - exchange.startedAtMs;
      // Not `guarded`, because this one runs at each answer.
      try {
        onRequest(exchange.head.route.pattern, status, durationMs);
      } catch (error) {
        printHookFault(error);
      }
    },
    onAborted: (exchange) => guarded(() => onAbort?.(exchange.head.route.pattern)),
  };
}

function guarded(hook: () => void): void {
  try {
    hook();
  } catch (error) {
    printHookFault(error);
  }
}

function printHookFault(error: unknown): void {
  printError(error, 'none: a hook failed');
}

const printError: NonNullable<HttpHooks['onError']> = (error, requestId) => {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`http: request ${requestId}: ${cause}\n`);
};
