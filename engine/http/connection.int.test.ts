// The contract of the port, part three: connections, timeouts, listening and closing. The same tests
// run over every transport.

import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Exchange } from './exchange.ts';
import type { Route } from './router.ts';
import { startHttpServer } from './server.ts';
import { BARE, describeTransports, problemOf, Subject } from './test-subject.ts';
import type { Wire } from './test-wire.ts';
import { Signal } from './test-wire.ts';

/** A machine may do other things too. */
const TEST_MS_MAX = 120_000;
const GET = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

/** Routes of which one holds its exchanges until the test lets them go. */
function heldRoutes(): { held: Exchange[]; signal: Signal; routes: readonly Route[] } {
  const held: Exchange[] = [];
  const signal = new Signal();
  const routes: readonly Route[] = [
    {
      method: 'GET',
      pattern: '/now/{n}',
      handle: (exchange) => exchange.respond(200, {}, exchange.param('n')),
    },
    {
      method: 'GET',
      pattern: '/soon/{n}',
      handle: (exchange) => void setImmediate(() => exchange.respond(200, {}, exchange.param('n'))),
    },
    {
      method: 'GET',
      pattern: '/held',
      handle: (exchange) => {
        held.push(exchange);
        signal.changed();
      },
    },
    {
      method: 'GET',
      pattern: '/until-gone',
      handle: (exchange) => new Promise((resolve) => exchange.onAbort(resolve)),
    },
  ];
  return { held, signal, routes };
}

async function holdOne(
  subject: Subject,
  kept: ReturnType<typeof heldRoutes>,
): Promise<[Wire, Exchange]> {
  const before = kept.held.length;
  const wire = await subject.wire();
  await wire.send(GET('/held'));
  await kept.signal.until(
    () => kept.held.length > before,
    () => 'the request did not reach its handler',
  );
  const exchange = kept.held[before];
  if (exchange === undefined) throw new Error('nothing is held');
  return [wire, exchange];
}

await describeTransports('connections', (transport) => {
  const kept = heldRoutes();
  let subject: Subject;
  let impatient: Subject;
  let unfinished: Wire;
  beforeAll(async () => {
    subject = await Subject.start(transport, kept.routes);
    impatient = await Subject.start(transport, kept.routes, { headersTimeoutMs: 400 });
    // Begun here, because uWS needs about ten seconds to give up on it: see the last test.
    unfinished = await impatient.wire();
    await unfinished.send('GET /now/1 HTTP/1.1\r\nhost: a\r\nx-never-ends: ');
  });
  afterAll(() => Promise.all([subject.end(), impatient.end()]));

  it('serves many requests on one connection, one after the other', async () => {
    const wire = await subject.wire();
    for (let n = 1; n <= 20; n += 1) {
      await wire.send(GET(n % 2 ? `/now/${n}` : `/soon/${n}`));
      expect((await wire.responses(n))[n - 1]?.body).toBe(String(n));
    }
  });

  it('ends the connection when the client asks for it', async () => {
    const wire = await subject.wire();
    await wire.send('GET /now/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    expect((await wire.response()).body).toBe('1');
    await wire.ended();
  });

  it('answers pipelined requests in order', async () => {
    const wire = await subject.wire();
    await wire.send(Array.from({ length: 50 }, (_, n) => GET(`/now/${n}`)).join(''));
    const bodies = (await wire.responses(50)).map((each) => each.body);
    expect(bodies).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
  });

  it('never mixes up pipelined requests that are answered later', async () => {
    const wire = await subject.wire();
    await wire.send(Array.from({ length: 10 }, (_, n) => GET(`/soon/${n}`)).join(''));
    // uWS ends the connection instead of queueing behind an open answer; both are in order.
    const bodies = await wire.responses(10).then(
      (responses) => responses.map((each) => each.body),
      () => [],
    );
    expect(bodies).toEqual(
      transport === 'uws' ? [] : Array.from({ length: 10 }, (_, n) => String(n)),
    );
    if (transport === 'uws') expect(wire.text).toBe('');
  });

  it('serves 1,000 connections at once, each its own answer', {
    timeout: TEST_MS_MAX,
  }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
    const ask = (n: number) =>
      new Promise<string>((resolve, reject) => {
        const path = `/soon/${n}`;
        const sent = request({ port: subject.server.port, host: '127.0.0.1', path, agent });
        sent.on('error', reject);
        sent.on('response', (response) => {
          let text = '';
          response.on('data', (bytes: Buffer) => {
            text += bytes.toString();
          });
          response.on('end', () => resolve(text));
        });
        sent.end();
      });
    const answers = await Promise.all(Array.from({ length: 1_000 }, (_, n) => ask(n)));
    agent.destroy();
    expect(answers).toEqual(Array.from({ length: 1_000 }, (_, n) => String(n)));
  });

  it('works with fetch', async () => {
    const response = await fetch(`${subject.server.url}/now/fetched`);
    expect([response.status, await response.text()]).toEqual([200, 'fetched']);
  });

  it('tells the exchange once that its client went away, and takes the late answer', async () => {
    const [wire, exchange] = await holdOne(subject, kept);
    let calls = 0;
    exchange.onAbort(() => {
      calls += 1;
    });
    exchange.onAbort(() => {
      throw new Error('a callback failed');
    });
    subject.aborts.length = 0;
    wire.destroy();
    await subject.reported(() => subject.aborts.length === 1);
    expect([exchange.aborted, exchange.answered, calls]).toEqual([true, false, 1]);
    expect(subject.errors.map((each) => String(each.error))).toEqual(['Error: a callback failed']);
    exchange.onAbort(() => {
      calls += 1;
    });
    expect(calls).toBe(2);
    subject.requests.length = 0;
    exchange.respond(200, {}, 'nobody reads this');
    expect(() => exchange.respond(200)).toThrow(/answered twice/);
    expect(subject.requests).toEqual([]);
    expect((await subject.ask('GET', '/now/after')).body).toBe('after');
  });

  it('does not blame a handler that stops when its client has gone', async () => {
    subject.errors.length = 0;
    subject.aborts.length = 0;
    const wire = await subject.wire();
    await wire.send(GET('/until-gone'));
    // Answered on another connection after the server has seen the request above.
    await subject.ask('GET', '/now/1');
    wire.destroy();
    await subject.reported(() => subject.aborts.length === 1);
    await subject.ask('GET', '/now/1');
    expect(subject.errors).toEqual([]);
  });

  describe('what is not HTTP', () => {
    it.each([
      'garbage\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
      'GET /now/1 HTTP/3.7\r\nhost: a\r\n\r\n',
      'GET /now/1 HTTP/1.1\r\nhost a\r\n\r\n',
      'GET /now/1 HTTP/1.1\r\n: b\r\nhost: a\r\n\r\n',
      'G\0T /now/1 HTTP/1.1\r\nhost: a\r\n\r\n',
      '\r\n'.repeat(200),
    ])('%j is not served, and nobody else suffers', async (bytes) => {
      subject.requests.length = 0;
      const wire = await subject.wire();
      await wire.send(bytes);
      expect((await subject.ask('GET', '/now/other')).body).toBe('other');
      expect(wire.text).not.toContain('200 OK');
      expect(subject.requests.filter((each) => each.pattern !== '')).toHaveLength(1);
      wire.destroy();
    });

    it('cuts off a head that never ends', async () => {
      const wire = await subject.wire();
      await wire.send('GET /now/1 HTTP/1.1\r\nhost: a\r\nx: ');
      for (let sent = 0; sent < 4_000_000 && !wire.closed; sent += 50_000) {
        await wire.send('a'.repeat(50_000));
      }
      await wire.ended();
      expect(wire.text).not.toContain('200 OK');
    });
  });

  it('gives up on a head that does not come', { timeout: TEST_MS_MAX }, async () => {
    await unfinished.ended(TEST_MS_MAX);
    expect(unfinished.text).not.toContain('200 OK');
    if (transport === 'node') expect(problemOf(await unfinished.response()).status).toBe(408);
  });
});

await describeTransports('listening and closing', (transport) => {
  it('says that the port is in use', async () => {
    const first = await startHttpServer({ ...BARE, transport });
    const second = startHttpServer({ ...BARE, port: first.port, transport });
    await expect(second).rejects.toThrow(
      `cannot listen on 127.0.0.1:${first.port}: the port is in use`,
    );
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await first.close(0);
    const third = await startHttpServer({ ...BARE, port: first.port, transport });
    expect(third.port).toBe(first.port);
    await third.close(0);
  });

  it('says that the address is not one of this machine', async () => {
    const started = startHttpServer({ ...BARE, host: '192.0.2.1', transport });
    await expect(started).rejects.toThrow(/no such address.*EADDRNOTAVAIL/);
  });

  it('lets requests in flight finish, takes no new connection, then is closed', async () => {
    const kept = heldRoutes();
    const subject = await Subject.start(transport, kept.routes);
    const [wire, exchange] = await holdOne(subject, kept);
    let closed = false;
    const closing = subject.server.close(5_000).then(() => {
      closed = true;
    });
    await expect(subject.wire()).rejects.toThrow('ECONNREFUSED');
    expect(closed).toBe(false);
    exchange.respond(200, {}, 'in time');
    expect((await wire.response()).body).toBe('in time');
    await wire.ended();
    await closing;
    await subject.server.close(0);
  });

  it('answers 503, or ends the connection, when a kept one is used while it closes', async () => {
    const kept = heldRoutes();
    const subject = await Subject.start(transport, kept.routes);
    const idle = await subject.wire();
    await idle.send(GET('/now/1'));
    await idle.response();
    const [, exchange] = await holdOne(subject, kept);
    const closing = subject.server.close(5_000);
    await idle.send(GET('/now/2'));
    const second = await idle.responses(2).then(
      (responses) => responses[1],
      () => undefined,
    );
    if (second !== undefined) {
      expect(problemOf(second)).toMatchObject({ status: 503, code: 'shutting_down' });
    }
    await idle.ended();
    exchange.respond(200);
    await closing;
  });

  it('ends what is still in flight after the grace', async () => {
    const kept = heldRoutes();
    const subject = await Subject.start(transport, kept.routes);
    const [wire, exchange] = await holdOne(subject, kept);
    await subject.server.close(100);
    await wire.ended();
    expect(wire.text).toBe('');
    expect(exchange.aborted).toBe(true);
    exchange.respond(200);
  });

  it('does not wait for connections on which nothing is in flight', {
    timeout: TEST_MS_MAX,
  }, async () => {
    const subject = await Subject.start(transport, heldRoutes().routes);
    const silent = await subject.wire();
    const used = await subject.wire();
    await used.send(GET('/now/1'));
    await used.response();
    const half = await subject.wire();
    await half.send('GET /now/1 HTTP/1.1\r\nhost: a\r\n');
    // Who waited for them would wait beyond the end of this test.
    await subject.server.close(10 * TEST_MS_MAX);
    await Promise.all([silent.ended(), used.ended(), half.ended()]);
  });
});
