// For the contract suite: the loop over the transports, and a server under test with a record of what
// its hooks reported.

import { describe } from 'vitest';
import { Line } from '../runtime/line.ts';
import type { HttpLimits, HttpServer, TransportName } from './port.ts';
import type { Route } from './router.ts';
import { startHttpServer } from './server.ts';
import type { WireResponse } from './test-wire.ts';
import { requestText, Signal, Wire } from './test-wire.ts';
import { loadUws } from './uws-load.ts';

/** Declares the same suite once per transport; one that cannot be loaded here is skipped by name. */
export async function describeTransports(
  name: string,
  suite: (transport: TransportName) => void,
): Promise<void> {
  const load = await loadUws();
  describe(`${name} over node:http`, () => suite('node'));
  if (load.kind === 'loaded') {
    describe(`${name} over uWS (${load.uws.packageName})`, () => suite('uws'));
  } else {
    describe.skip(`${name} over uWS: not loadable: ${load.reason}`, () => suite('uws'));
  }
}

/** For a server of which only the listening matters. */
export const BARE = { routes: [], port: 0, line: new Line() };

type Headers = Readonly<Record<string, string>>;

export class Subject {
  readonly server: HttpServer;
  readonly errors: { readonly error: unknown; readonly requestId: string }[] = [];
  readonly requests: { readonly pattern: string; readonly status: number }[] = [];
  /** The patterns of the routes whose clients went away. */
  readonly aborts: string[] = [];
  readonly signal: Signal;
  readonly #wires: Wire[] = [];

  private constructor(server: HttpServer, signal: Signal) {
    this.server = server;
    this.signal = signal;
  }

  static async start(
    transport: TransportName,
    routes: readonly Route[],
    limits: Partial<HttpLimits> = {},
  ): Promise<Subject> {
    const signal = new Signal();
    let subject: Subject | undefined;
    const hooks = {
      onError: (error: unknown, requestId: string) => {
        subject?.errors.push({ error, requestId });
        signal.changed();
      },
      onRequest: (pattern: string, status: number) => {
        subject?.requests.push({ pattern, status });
        signal.changed();
      },
      onAbort: (pattern: string) => {
        subject?.aborts.push(pattern);
        signal.changed();
      },
    };
    subject = new Subject(
      await startHttpServer({ routes, port: 0, transport, limits, line: new Line(), hooks }),
      signal,
    );
    return subject;
  }

  async wire(): Promise<Wire> {
    const wire = await Wire.open(this.server.port);
    this.#wires.push(wire);
    return wire;
  }

  /** One request on a connection of its own. */
  async ask(method: string, path: string, headers?: Headers, body?: string): Promise<WireResponse> {
    const wire = await this.wire();
    await wire.send(requestText(method, path, headers, body));
    const [response] = await wire.responses(1, method === 'HEAD');
    wire.destroy();
    if (response === undefined) throw new Error('no response');
    return response;
  }

  /** Resolves when `done` holds of what the hooks reported. */
  reported(done: () => boolean): Promise<void> {
    return this.signal.until(done, () => 'the hooks have not reported it');
  }

  /** Drops all connections and closes the server. */
  async end(): Promise<void> {
    for (const wire of this.#wires) wire.destroy();
    await this.server.close(0);
  }
}

/** The members of a problem, after a look that the response is one. */
export function problemOf(response: WireResponse): Readonly<Record<string, unknown>> {
  const type = response.headers.get('content-type');
  if (type !== 'application/problem+json') throw new Error(`not a problem: ${response.body}`);
  const body: Readonly<Record<string, unknown>> = JSON.parse(response.body);
  return body;
}
