/** The load client against real servers on loopback: node:http, and raw sockets that misbehave. */
import { EventEmitter } from 'node:events';
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpClient, HttpClientError, HttpClientOptions } from './client.ts';
import { createHttpClient } from './client.ts';
import { LatencyBook } from './latency.ts';

const opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

async function serve(listener: RequestListener): Promise<{ port: number; server: HttpServer }> {
  const server = createServer(listener);
  opened.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: await listen(server), server };
}

/** A server of bare connections: each chunk that comes in is handed over. */
async function serveRaw(onChunk: (socket: Socket, chunk: string) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => onChunk(socket, chunk.toString()));
    socket.on('error', () => socket.destroy());
  });
  opened.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return listen(server);
}

function clientOf(port: number, options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({ host: '127.0.0.1', port, timeoutMs: 50_000, ...options });
  opened.push(() => client.close());
  return client;
}

async function errorOf(answer: Promise<unknown>): Promise<HttpClientError> {
  return answer.then(
    () => {
      throw new Error('it was answered');
    },
    (error: HttpClientError) => error,
  );
}

/** Opens once a number of calls have come in, by their own signal. */
function gate(calls: number): { arrive: () => void; isOpen: Promise<void> } {
  const arrivals = new EventEmitter();
  let left = calls;
  const isOpen = new Promise<void>((resolve) => arrivals.once('open', resolve));
  const arrive = (): void => {
    left -= 1;
    if (left === 0) arrivals.emit('open');
  };
  return { arrive, isOpen };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('the load client', () => {
  it('sends method, path, headers and body, and reads the answer', async () => {
    const { port } = await serve((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => {
        const { method, url, headers } = request;
        response.statusCode = 201;
        response.setHeader('X-Served-By', 'test');
        response.end(JSON.stringify({ method, url, key: headers['idempotency-key'], body }));
      });
    });
    const client = clientOf(port);
    const answer = await client.request(
      'POST',
      '/reserve?x=1',
      { 'Idempotency-Key': 'k1', 'Content-Type': 'application/json' },
      '{"name":"café"}',
    );
    expect(answer).toMatchObject({ status: 201, headers: { 'x-served-by': 'test' } });
    expect(JSON.parse(answer.body)).toEqual({
      method: 'POST',
      url: '/reserve?x=1',
      key: 'k1',
      body: '{"name":"café"}',
    });
    expect((await client.request('GET', '/')).status).toBe(201);
    expect(client.stats()).toMatchObject({ requests: 2, answers: 2, connectionsOpened: 1 });
  });

  it('gives each of many concurrent callers its own answer over few connections', async () => {
    let concurrent = 0;
    let concurrentMax = 0;
    const allConnected = gate(8);
    const { port } = await serve((request, response) => {
      concurrent += 1;
      concurrentMax = Math.max(concurrentMax, concurrent);
      allConnected.arrive();
      void allConnected.isOpen.then(() => {
        concurrent -= 1;
        response.end(request.url);
      });
    });
    const latencies = new LatencyBook();
    const client = clientOf(port, { maxConnections: 8, latencies });
    const paths = Array.from({ length: 3_000 }, (_, index) => `/${index}`);
    const answers = await Promise.all(
      paths.map((path) => client.request('GET', path, {}, undefined, { label: 'get' })),
    );
    expect(answers.map((answer) => answer.body)).toEqual(paths);
    expect(concurrentMax).toBe(8);
    expect(client.stats()).toMatchObject({ answers: 3_000, connections: 8, queued: 0 });
    expect(latencies.summary('get').count).toBe(3_000);
  });

  it('counts the latency from the intended time', async () => {
    const { port } = await serve((_request, response) => void response.end('ok'));
    const latencies = new LatencyBook();
    const client = clientOf(port, { latencies });
    const intendedAtMs = performance.now() - 1_000;
    const answer = await client.request('GET', '/', {}, undefined, { intendedAtMs, label: 'late' });
    expect(answer.latencyMs).toBeGreaterThanOrEqual(1_000);
    expect(latencies.labels()).toEqual(['late']);
    expect(latencies.summary('late').maxMs).toBeGreaterThanOrEqual(1_000);
  });

  it('gives up at the timeout, never mixes up the late answer, and records the wait', async () => {
    let requests = 0;
    const port = await serveRaw((socket) => {
      requests += 1;
      if (requests > 1) socket.write(OK);
    });
    const latencies = new LatencyBook();
    // So long that what comes behind is answered by then, also on a busy machine.
    const client = clientOf(port, { timeoutMs: 3_000, maxConnections: 1, latencies });
    const slow = await errorOf(client.request('GET', '/slow'));
    expect(slow).toMatchObject({ code: 'timeout', mayHaveArrived: true });
    expect(slow.message).toMatch(/^GET \/slow: waited 3000 ms, at last for the answer$/);
    expect(latencies.summary().count).toBe(1);
    expect((await client.request('GET', '/next')).body).toBe('ok');
    expect(requests).toBe(2);
    expect(client.stats()).toMatchObject({
      connectionsOpened: 2,
      queued: 0,
      errors: { timeout: 1 },
    });
  });

  it('never sends again what a lost connection may have delivered', async () => {
    const seen: string[] = [];
    const port = await serveRaw((socket, chunk) => {
      seen.push(chunk.split(' ')[1] ?? '');
      if (chunk.startsWith('POST')) socket.destroy();
      else socket.write(OK);
    });
    const client = clientOf(port, { maxConnections: 1 });
    const [lost, next] = await Promise.all([
      errorOf(client.request('POST', '/lost', {}, '{}')),
      client.request('GET', '/next'),
    ]);
    expect(lost).toMatchObject({ code: 'connection_lost', mayHaveArrived: true });
    expect(next.body).toBe('ok');
    expect(seen).toEqual(['/lost', '/next']);
  });

  it('says so when the connection breaks in the middle of a response', async () => {
    const port = await serveRaw((socket) => void socket.end(OK.slice(0, -1)));
    const error = await errorOf(clientOf(port).request('GET', '/'));
    expect(error).toMatchObject({ code: 'connection_lost', mayHaveArrived: true });
    expect(error.message).toMatch(/in the middle of a response/);
  });

  it.each([
    [
      'a chunked response',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /chunked/,
    ],
    ['more than was asked for', `${OK}${OK}`, /bytes follow/],
    ['no HTTP', 'SSH-2.0\r\n\r\n', /status line/],
  ])('refuses %s', async (_name, response, problem) => {
    const port = await serveRaw((socket) => void socket.write(response));
    const error = await errorOf(clientOf(port).request('GET', '/'));
    expect(error).toMatchObject({ code: 'bad_response', mayHaveArrived: true });
    expect(error.message).toMatch(problem);
  });

  it('goes on with a new connection when the server closes behind a response', async () => {
    const { port } = await serve((_request, response) => {
      response.setHeader('Connection', 'close');
      response.end('ok');
    });
    const client = clientOf(port, { maxConnections: 1 });
    const answers = await Promise.all([client.request('GET', '/1'), client.request('GET', '/2')]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect(client.stats()).toMatchObject({ connectionsOpened: 2, errors: {} });
  });

  it('uses no connection that was idle for too long', async () => {
    const { port } = await serve((_request, response) => void response.end('ok'));
    const client = clientOf(port, { maxIdleMs: 0 });
    await client.request('GET', '/1');
    await new Promise(setImmediate);
    await client.request('GET', '/2');
    expect(client.stats()).toMatchObject({ connectionsOpened: 2, connections: 1 });
  });

  it('fails each queued request when nobody listens', async () => {
    const { port, server } = await serve((_request, response) => void response.end());
    await new Promise((resolve) => server.close(resolve));
    const client = clientOf(port, { maxConnections: 2 });
    const errors = await Promise.all(
      Array.from({ length: 5 }, () => errorOf(client.request('GET', '/'))),
    );
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'connect_failed', mayHaveArrived: false });
      expect(error.message).toContain(`cannot connect to 127.0.0.1:${port}: `);
    }
    expect(client.stats()).toMatchObject({ queued: 0, errors: { connect_failed: 5 } });
  });

  it('refuses more than may wait, and fails everything when it is closed', async () => {
    const arrived = gate(1);
    const port = await serveRaw(() => arrived.arrive());
    const client = clientOf(port, { maxConnections: 1, maxQueued: 1 });
    const underWay = errorOf(client.request('GET', '/under-way'));
    await arrived.isOpen;
    const queued = errorOf(client.request('GET', '/queued'));
    expect(await errorOf(client.request('GET', '/too-many'))).toMatchObject({
      code: 'queue_full',
      mayHaveArrived: false,
    });
    client.close();
    expect(await underWay).toMatchObject({ code: 'client_closed', mayHaveArrived: true });
    expect(await queued).toMatchObject({ code: 'client_closed', mayHaveArrived: false });
    expect(await errorOf(client.request('GET', '/late'))).toMatchObject({ code: 'client_closed' });
    expect(client.stats()).toMatchObject({
      requests: 4,
      answers: 0,
      connections: 0,
      errors: { queue_full: 1, client_closed: 3 },
    });
  });
});
