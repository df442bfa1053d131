/**
 * `GET /metrics` of a role that serves no HTTP of its own: relay, persister, recovery. Plain node:http,
 * because it is asked every few seconds.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ListenError } from './listen-error.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Rejects with what to do when the port is taken. */
export async function startMetricsServer(
  metrics: Pick<Metrics, 'render' | 'contentType'>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('here is only GET /metrics\n');
      return;
    }
    metrics.render().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      (error: unknown) =>
        response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new ListenError(
          `metrics cannot be served at ${host}:${port}: ${error.message}; set HOLDFAST_METRICS_PORT to a free port, another one for each process`,
          error.code ?? 'UNKNOWN',
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${bound}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
