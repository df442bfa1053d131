// The contract of the port, part one: routing, answers, problems, request ids, failures of handlers.
// The same tests run over every transport. Bodies: body.int.test.ts; connections, timeouts and
// closing: connection.int.test.ts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonHead, PreparedAnswer, prepareProblem } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { Route } from './router.ts';
import { forcedTransport, startHttpServer } from './server.ts';
import { StampedBody } from './stamped.ts';
import { BARE, describeTransports, problemOf, Subject } from './test-subject.ts';
import { loadUws } from './uws-load.ts';

const SOLD_OUT = { code: 'insufficient', status: 409, title: 'Not enough stock', retryable: true };
const DETAILS = { detail: 'Wanted 1, have 0.', extensions: { missing: [{ sku_id: 'A' }] } };
const prepared = prepareProblem(SOLD_OUT, DETAILS, { headers: { 'retry-after': '1' } });

const stamped = new StampedBody('{"request_id":"', '","id":"', '"}');

const ROUTES: readonly Route[] = [
  { method: 'GET', pattern: '/', handle: (exchange) => exchange.respond(200, {}, 'root') },
  {
    method: 'GET',
    pattern: '/stock/{sku_id}/availability',
    handle: (exchange) => exchange.respondJson(200, { sku_id: exchange.param('sku_id') }),
  },
  { method: 'POST', pattern: '/stock/availability', handle: echo('many') },
  { method: 'GET', pattern: '/stock/reservations/{id}', handle: echo('reservation') },
  { method: 'PUT', pattern: '/stock/{sku_id}', handle: echo('put') },
  { method: 'GET', pattern: '/warehouses/{w}/pools/{p}', handle: echo('pools') },
  {
    method: 'GET',
    pattern: '/headers',
    headers: ['idempotency-key', 'prefer'],
    handle: (exchange) =>
      exchange.respondJson(200, {
        key: exchange.header('idempotency-key') ?? null,
        prefer: exchange.header('prefer') ?? null,
        query: exchange.query,
      }),
  },
  {
    method: 'GET',
    pattern: '/stamped',
    handle: (exchange) => exchange.respondStamped(jsonHead(200), stamped, exchange.query),
  },
  { method: 'GET', pattern: '/unlisted', handle: (exchange) => void exchange.header('prefer') },
  { method: 'GET', pattern: '/odd/:c', handle: echo('colon') },
  { method: 'GET', pattern: '/odd/*', handle: echo('star') },
  { method: 'GET', pattern: '/prepared', handle: (e) => e.respondPrepared(prepared) },
  {
    method: 'GET',
    pattern: '/problem',
    handle: (e) => e.problem(SOLD_OUT, DETAILS, { 'retry-after': '1' }),
  },
  {
    method: 'GET',
    pattern: '/later',
    handle: (exchange) => void setImmediate(() => exchange.respond(202, { 'x-a': 'b' }, 'later')),
  },
  {
    method: 'GET',
    pattern: '/bytes',
    handle: (exchange) => exchange.respond(200, {}, new Uint8Array([0xc3, 0xa9])),
  },
  { method: 'DELETE', pattern: '/nothing', handle: (exchange) => exchange.respond(204) },
  { method: 'GET', pattern: '/throws', handle: () => fail('thrown') },
  { method: 'GET', pattern: '/rejects', handle: () => Promise.reject(new Error('rejected')) },
  { method: 'GET', pattern: '/forgets', handle: () => Promise.resolve() },
  { method: 'GET', pattern: '/param', handle: (exchange) => void exchange.param('nope') },
  {
    method: 'GET',
    pattern: '/forges',
    handle: (exchange) => exchange.respond(200, { 'x-a': 'b\r\nset-cookie: c' }, 'x'),
  },
  {
    method: 'GET',
    pattern: '/twice',
    handle: (exchange) => {
      exchange.respond(200, {}, 'first');
      exchange.respond(500, {}, 'second');
    },
  },
];

function echo(name: string): (exchange: Exchange) => void {
  return (exchange) =>
    exchange.respondJson(200, { name, method: exchange.method, params: exchange.head.params });
}

function fail(message: string): never {
  throw new Error(message);
}

await describeTransports('the HTTP port', (transport) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await Subject.start(transport, ROUTES);
  });
  afterAll(() => subject.end());

  describe('routing', () => {
    it.each([
      ['GET', '/', 'root'],
      ['GET', '/?a=b', 'root'],
      ['GET', '/stock/A.b_c:1-2/availability', '{"sku_id":"A.b_c:1-2"}'],
      ['GET', '/stock/a%20%2F%C3%A9/availability', '{"sku_id":"a /é"}'],
      ['POST', '/stock/availability', '{"name":"many","method":"POST","params":[]}'],
      ['GET', '/stock/reservations/r1', '{"name":"reservation","method":"GET","params":["r1"]}'],
      // The static segment has no PUT, so the parameter takes it.
      ['PUT', '/stock/availability', '{"name":"put","method":"PUT","params":["availability"]}'],
      ['GET', '/odd/:c', '{"name":"colon","method":"GET","params":[]}'],
      ['GET', '/odd/*', '{"name":"star","method":"GET","params":[]}'],
      ['GET', '/warehouses/1/pools/x', '{"name":"pools","method":"GET","params":["1","x"]}'],
    ])('%s %s', async (method, path, body) => {
      const response = await subject.ask(method, path);
      expect(response.status).toBe(200);
      expect(Buffer.from(response.body, 'latin1').toString()).toBe(body);
    });

    it.each([
      ...['/nope', '/stock', '/stock/', '/stock//availability', '/stock/a/availability/', '//'],
      // Near to one that is known as it stands.
      ...['/prepared/', '//prepared', '/Prepared', '/prepare', '/prepared.', '/%70repared'],
      '/odd/x',
    ])('answers 404 to %s', async (path) => {
      const response = await subject.ask('GET', path);
      expect(response.status).toBe(404);
      expect(problemOf(response)).toMatchObject({
        type: '/problems/route_not_found',
        status: 404,
        code: 'route_not_found',
        request_id: response.headers.get('x-request-id'),
        retryable: false,
      });
    });

    it.each([
      ['DELETE', '/stock/reservations/r1', 'GET, HEAD, OPTIONS'],
      ['GET', '/stock/availability', 'OPTIONS, POST, PUT'],
      ['PATCH', '/', 'GET, HEAD, OPTIONS'],
    ])('answers 405 to %s %s', async (method, path, allow) => {
      const response = await subject.ask(method, path);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
      expect(problemOf(response)).toMatchObject({ code: 'method_not_allowed' });
    });

    it('answers OPTIONS with what is allowed, and 404 where nothing is', async () => {
      const wire = await subject.wire();
      await wire.send('OPTIONS /stock/availability HTTP/1.1\r\nhost: a\r\n\r\n');
      const first = await wire.response();
      expect(first.status).toBe(204);
      expect(first.headers.get('allow')).toBe('OPTIONS, POST, PUT');
      expect(first.headers.has('content-length')).toBe(false);
      await wire.send('OPTIONS /nope HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await wire.responses(2))[1]?.status).toBe(404);
    });

    it.each(['%zz', '%', '%c3', '%ff'])('answers 400 to the segment %s', async (segment) => {
      const response = await subject.ask('GET', `/stock/${segment}/availability`);
      expect(response.status).toBe(400);
      expect(problemOf(response)).toMatchObject({ code: 'malformed_request' });
      expect(response.body).toContain(segment);
    });

    it('answers 414 to a URL over the limit and serves one at the limit', async () => {
      const sku = 'a'.repeat(2_048 - '/stock//availability'.length);
      expect((await subject.ask('GET', `/stock/${sku}/availability`)).status).toBe(200);
      const over = await subject.ask('GET', `/stock/${sku}a/availability`);
      expect(over.status).toBe(414);
      expect(problemOf(over)).toMatchObject({ code: 'url_too_long' });
      expect((await subject.ask('GET', `/?${'q'.repeat(2_048)}`)).status).toBe(414);
    });
  });

  describe('answers', () => {
    it('gives headers and query as sent, and only the first question mark counts', async () => {
      const headers = { 'Idempotency-Key': 'k-1', 'Content-Length': '0' };
      const response = await subject.ask('GET', '/headers?a=%20b&c=d?e', headers);
      expect(response.body).toBe('{"key":"k-1","prefer":null,"query":"a=%20b&c=d?e"}');
      expect(response.headers.get('content-type')).toBe('application/json');
    });

    it('takes a head of 12,000 bytes', async () => {
      const response = await subject.ask('GET', '/headers', { cookie: 'c'.repeat(12_000) });
      expect(response.status).toBe(200);
    });

    it('answers HEAD as GET, without the body, and the connection goes on', async () => {
      const get = await subject.ask('GET', '/stock/A/availability');
      const wire = await subject.wire();
      const head = 'HEAD /stock/A/availability HTTP/1.1\r\nhost: a\r\n\r\n';
      await wire.send(head);
      const [first] = await wire.responses(1, true);
      expect(first?.status).toBe(200);
      expect(first?.headers.get('content-length')).toBe(String(get.body.length));
      await wire.send(head);
      expect(await wire.responses(2, true)).toHaveLength(2);
      expect(wire.text.endsWith('\r\n\r\n')).toBe(true);
      expect((await subject.ask('HEAD', '/nope')).status).toBe(404);
    });

    it('answers in a later turn', async () => {
      const response = await subject.ask('GET', '/later');
      expect([response.status, response.headers.get('x-a'), response.body]).toEqual([
        202,
        'b',
        'later',
      ]);
    });

    it('answers bytes, and 204 without a length', async () => {
      const bytes = await subject.ask('GET', '/bytes');
      expect([bytes.headers.get('content-length'), bytes.body]).toEqual(['2', 'Ã©']);
      const nothing = await subject.ask('DELETE', '/nothing');
      expect([nothing.status, nothing.headers.has('content-length')]).toEqual([204, false]);
    });

    it('answers a prepared problem as it would the same problem unprepared', async () => {
      const headers = { 'x-request-id': 'same' };
      const [a, b] = await Promise.all([
        subject.ask('GET', '/prepared', headers),
        subject.ask('GET', '/problem', headers),
      ]);
      expect(a.body).toBe(b.body);
      expect(a.status).toBe(409);
      expect(a.headers.get('retry-after')).toBe('1');
      expect([...a.headers.keys()].toSorted()).toEqual([...b.headers.keys()].toSorted());
      expect(problemOf(a)).toMatchObject({ request_id: 'same', missing: [{ sku_id: 'A' }] });
    });
  });

  describe('request ids', () => {
    it('echoes a well-formed one', async () => {
      const id = `A-z_0.${'9'.repeat(58)}`;
      const response = await subject.ask('GET', '/nope', { 'X-Request-Id': id });
      expect(response.headers.get('x-request-id')).toBe(id);
      expect(problemOf(response)).toMatchObject({ request_id: id });
    });

    it.each(['a'.repeat(65), 'a b', 'a"b', 'a\u00e9', '<x>', 'a\tb', 'a;b', 'a,b', '%0d%0a'])(
      'makes its own instead of %j',
      async (id) => {
        const response = await subject.ask('GET', '/', { 'X-Request-Id': id });
        expect(response.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
        expect(response.headers.get('x-request-id')).not.toBe(id);
      },
    );

    it.each(['a\nset-cookie: x', 'a\rset-cookie: x', 'a\r\n set-cookie: x', 'a\0b'])(
      'never lets %j forge a response header',
      async (id) => {
        const wire = await subject.wire();
        await wire.send(`GET / HTTP/1.1\r\nhost: a\r\nx-request-id: ${id}\r\n\r\n`);
        // Which of these is refused, and how, is the parser's matter; some wait for more.
        await subject.ask('GET', '/');
        expect(wire.text.toLowerCase()).not.toContain('set-cookie');
        wire.destroy();
      },
    );

    it.each(['GET', 'HEAD'])(
      '%s is stamped with each one, however often and long',
      async (method) => {
        const ids = Array.from({ length: 12 }, (_, nth) =>
          nth % 3 === 0 ? 'x'.repeat(nth + 1) : '',
        );
        for (const id of ids) {
          const headers = id === '' ? {} : { 'x-request-id': id };
          const { status, headers: got } = await subject.ask(method, '/stamped', headers);
          expect(status).toBe(200);
          if (id !== '') expect(got.get('x-request-id')).toBe(id);
          else expect(got.get('x-request-id')).toMatch(/^[\w-]{6}-\d{5}$/);
        }
      },
    );

    it('has its place in a stamped body, with the other id', async () => {
      for (let nth = 0; nth < 10; nth += 1) {
        const id = nth % 2 === 0 ? `hf_${String(nth).padStart(32, '0')}` : `cart-${nth}`;
        const response = await subject.ask('GET', `/stamped?${id}`);
        const requestId = response.headers.get('x-request-id');
        expect(JSON.parse(response.body)).toEqual({ request_id: requestId, id });
      }
    });

    it('makes different ones', async () => {
      const made = await Promise.all(Array.from({ length: 20 }, () => subject.ask('GET', '/')));
      expect(new Set(made.map((each) => each.headers.get('x-request-id'))).size).toBe(20);
    });
  });

  describe('failures of a handler', () => {
    it.each([
      ['/throws', 'thrown'],
      ['/rejects', 'rejected'],
      ['/forgets', 'bug: the handler of /forgets ended without an answer'],
      ['/param', "bug: the pattern '/param' has no parameter 'nope'"],
      ['/unlisted', "bug: the route '/unlisted' must list the header 'prefer' to read it"],
      ['/forges', "bug: the header 'x-a' must have"],
    ])('%s: a 500 with the id under which the error is reported', async (path, message) => {
      const response = await subject.ask('GET', path, { 'x-request-id': `id${path.slice(1)}` });
      expect(response.status).toBe(500);
      const body = problemOf(response);
      expect(body).toMatchObject({ code: 'internal_error', retryable: true });
      expect(response.body).not.toContain(message);
      const report = subject.errors.find((each) => each.requestId === body.request_id);
      expect(String(report?.error)).toContain(message);
    });

    it('a second answer throws, and the first stands', async () => {
      const wire = await subject.wire();
      await wire.send('GET /twice HTTP/1.1\r\nhost: a\r\nx-request-id: two\r\n\r\n');
      expect((await wire.response()).body).toBe('first');
      const report = subject.errors.find((each) => each.requestId === 'two');
      expect(String(report?.error)).toContain('bug: GET /twice answered twice');
      await wire.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await wire.responses(2)).map((each) => each.body)).toEqual(['first', 'root']);
    });
  });

  it('reports each request with its pattern and status', async () => {
    subject.requests.length = 0;
    await subject.ask('GET', '/stock/reservations/r1');
    await subject.ask('GET', '/nope');
    await subject.ask('GET', '/prepared');
    expect(subject.requests).toEqual([
      { pattern: '/stock/reservations/{id}', status: 200 },
      { pattern: '', status: 404 },
      { pattern: '/prepared', status: 409 },
    ]);
  });
});

const none = () => loadUws(['no-such-build']);

describe('the choice of a transport', () => {
  it('takes uWS where it can be loaded, else node:http with the reason', async () => {
    const load = await loadUws();
    const server = await startHttpServer(BARE);
    await server.close(0);
    const ran = `${server.transport} (${server.implementation})`;
    const reason = server.fallbackReason ? `; uWS not loadable: ${server.fallbackReason}` : '';
    console.info(`the default transport on Node ${process.versions.node} is ${ran}${reason}`);
    expect(server.transport).toBe(load.kind === 'loaded' ? 'uws' : 'node');
    expect(server.fallbackReason === undefined).toBe(load.kind === 'loaded');
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  });

  it('falls back to node:http and says why', async () => {
    const server = await startHttpServer(BARE, none);
    await server.close(0);
    expect([server.transport, server.fallbackReason]).toEqual([
      'node',
      'no-such-build: not installed',
    ]);
  });

  it('refuses to fall back when uWS was forced', async () => {
    const started = startHttpServer({ ...BARE, transport: 'uws' }, none);
    await expect(started).rejects.toThrow(/no-such-build: not installed.*HOLDFAST_HTTP=node/);
  });

  it('does not take a package that is something else', async () => {
    const load = await loadUws(['node:path']);
    expect(load).toEqual({ kind: 'unavailable', reason: 'node:path: it has no function App' });
  });

  it('reads HOLDFAST_HTTP', () => {
    expect(forcedTransport({})).toBeUndefined();
    expect(forcedTransport({ HOLDFAST_HTTP: '' })).toBeUndefined();
    expect(forcedTransport({ HOLDFAST_HTTP: 'node' })).toBe('node');
    expect(forcedTransport({ HOLDFAST_HTTP: 'uws' })).toBe('uws');
    expect(() => forcedTransport({ HOLDFAST_HTTP: 'UWS' })).toThrow(/'UWS'; it may be/);
  });
});

it('a prepared answer refuses headers that would forge a response', () => {
  expect(() => new PreparedAnswer(200, { 'x-a': 'b\nc' }, '')).toThrow(/without CR, LF or NUL/);
  expect(() => new PreparedAnswer(200, { 'X-A': 'b' }, '')).toThrow(/lower-case name/);
});
