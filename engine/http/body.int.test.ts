// The contract of the port, part two: bodies. The same tests run over every transport.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseJsonBody } from './json.ts';
import type { Route } from './router.ts';
import { describeTransports, problemOf, Subject } from './test-subject.ts';
import type { Wire } from './test-wire.ts';

const LIMIT_BYTES = 1_000;
const JSON_TYPE = { 'content-type': 'application/json' };

const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    pattern: '/json',
    body: { limitBytes: LIMIT_BYTES },
    handle: (exchange) => {
      const value = parseJsonBody(exchange);
      if (value !== undefined) exchange.respondJson(200, { got: value });
    },
  },
  {
    method: 'POST',
    pattern: '/csv',
    body: { limitBytes: 4_000_000, contentType: 'text/csv' },
    handle: (exchange) => exchange.respond(200, {}, `${exchange.body.length}`),
  },
  { method: 'POST', pattern: '/none', handle: (exchange) => exchange.respond(200, {}, 'none') },
  {
    method: 'POST',
    pattern: '/later',
    body: { limitBytes: LIMIT_BYTES },
    // The body must still be there after the transport's buffers were reused.
    handle: (exchange) =>
      void setImmediate(() => exchange.respond(200, {}, exchange.body.toString())),
  },
  { method: 'GET', pattern: '/', handle: (exchange) => exchange.respond(200, {}, 'root') },
];

const CHUNKED = 'POST /json HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** The wire still serves: what came before on it was read to its end. */
async function servesNext(wire: Wire, before: number): Promise<void> {
  await wire.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect((await wire.responses(before + 1))[before]?.body).toBe('root');
}

await describeTransports('bodies', (transport) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await Subject.start(transport, ROUTES, { requestTimeoutMs: 1_500 });
  });
  afterAll(() => subject.end());

  const post = (body: string, headers: Readonly<Record<string, string>> = JSON_TYPE) =>
    subject.ask('POST', '/json', headers, body);

  describe('content type', () => {
    it.each([
      'application/json',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
      'Application/JSON ; charset=utf8',
      'application/json; profile=x',
    ])('takes %s', async (type) => {
      const response = await post('{"a":[1,"é"]}', { 'content-type': type });
      expect(Buffer.from(response.body, 'latin1').toString()).toBe('{"got":{"a":[1,"é"]}}');
    });

    it.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'application/json; charset=iso-8859-1',
      'text/csv',
      '',
    ])('answers 415 to "%s" and the connection goes on', async (type) => {
      const wire = await subject.wire();
      const header = type === '' ? '' : `content-type: ${type}\r\n`;
      await wire.send(`POST /json HTTP/1.1\r\nhost: a\r\n${header}content-length: 2\r\n\r\n{}`);
      const response = await wire.response();
      expect(response.status).toBe(415);
      expect(problemOf(response)).toMatchObject({ code: 'unsupported_media_type' });
      expect(response.body).toContain('application/json');
      await servesNext(wire, 1);
    });
  });

  describe('size', () => {
    it('takes a body of exactly the limit', async () => {
      const body = JSON.stringify('x'.repeat(LIMIT_BYTES - 2));
      expect((await post(body)).status).toBe(200);
    });

    it('answers 413 to a declared length over the limit before the body comes', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}content-length: ${LIMIT_BYTES + 1}\r\n\r\n`);
      const response = await wire.response();
      expect(response.status).toBe(413);
      expect(problemOf(response)).toMatchObject({ code: 'body_too_large', limit_bytes: 1_000 });
    });

    it('answers 413 to a huge declared length and ends the connection', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}content-length: 10000000\r\n\r\n${'x'.repeat(50_000)}`);
      expect((await wire.response()).status).toBe(413);
      await wire.ended();
    });

    it('counts a chunked body and answers 413 once it is over', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}transfer-encoding: chunked\r\n\r\n${chunk('"'.padEnd(600))}`);
      await wire.send(chunk(' '.repeat(600)));
      expect((await wire.response()).status).toBe(413);
      await wire.ended();
    });

    it('takes a chunked body within the limit, in pieces', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}transfer-encoding: chunked\r\n\r\n`);
      await wire.send(chunk('{"a"'));
      await wire.send(chunk(':"b"}'));
      await wire.send('0\r\n\r\n');
      expect((await wire.response()).body).toBe('{"got":{"a":"b"}}');
      await servesNext(wire, 1);
    });

    it('takes a large body that comes in many packets, whole', async () => {
      const body = 'a,b\n'.repeat(750_000);
      const response = await subject.ask('POST', '/csv', { 'content-type': 'text/csv' }, body);
      expect(response.body).toBe(String(body.length));
    });

    it('refuses a body where none is taken, and reads a small one to its end', async () => {
      const wire = await subject.wire();
      await wire.send('POST /none HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
      const response = await wire.response();
      expect(response.status).toBe(413);
      expect(response.body).toContain('takes no body');
      await servesNext(wire, 1);
      const chunked = await subject.wire();
      const head = 'POST /none HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';
      await chunked.send(`${head}${chunk('x')}`);
      expect((await chunked.response()).status).toBe(413);
      expect((await subject.ask('POST', '/none')).body).toBe('none');
      expect((await subject.ask('POST', '/none', { 'content-length': '0' })).body).toBe('none');
    });

    it('reads the small body of a request to nowhere to its end', async () => {
      const wire = await subject.wire();
      await wire.send('POST /nope HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello');
      expect((await wire.response()).status).toBe(404);
      await wire.send('world');
      await servesNext(wire, 1);
    });

    it('answers 100-continue, unless the body is refused anyway', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}expect: 100-continue\r\ncontent-length: 2\r\n\r\n`);
      await wire.got('HTTP/1.1 100 Continue\r\n\r\n');
      await wire.send('{}');
      expect((await wire.response()).body).toBe('{"got":{}}');
      const refused = await subject.wire();
      await refused.send(`${CHUNKED}expect: 100-continue\r\ncontent-length: 2000\r\n\r\n`);
      expect((await refused.response()).status).toBe(413);
    });
  });

  describe('JSON', () => {
    it.each([
      ['', 'malformed_json', 'The body is empty', undefined],
      ['{"a":}', 'malformed_json', 'Expected a JSON value at line 1, column 6.', 5],
      ['{"a":1,\n "é":2 x}', 'malformed_json', "Expected ',' or '}' at line 2, column 8.", 16],
      ['[1,2', 'malformed_json', "The body ends where ',' or ']' was expected", 4],
      ['{"a":"\\x"}', 'malformed_json', 'There is an invalid escape in a string', 6],
      ['{} {}', 'malformed_json', 'Expected the end of the body', 3],
      ['[01]', 'malformed_json', "Expected ',' or ']' at line 1, column 3.", 2],
      ['\ufeff{}', 'malformed_json', 'Expected a JSON value at line 1, column 1.', 0],
      [`${'['.repeat(17)}1${']'.repeat(17)}`, 'malformed_request', 'deeper than 16 levels', 16],
      ['{"__proto__":1}', 'malformed_request', "a key '__proto__'", undefined],
      ['[{"a":{"\\u005f_proto__":1}}]', 'malformed_request', "a key '__proto__'", undefined],
    ])('answers 400 to %j', async (body, code, detail, offset) => {
      const response = await post(body);
      expect(response.status).toBe(400);
      const found = problemOf(response);
      expect(found).toMatchObject({ code, retryable: false });
      expect(found.detail).toContain(detail);
      if (offset !== undefined) expect(found.position).toMatchObject({ offset });
    });

    it('answers 400 to bytes that are not UTF-8', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}content-length: 3\r\n\r\n`);
      await wire.send(Buffer.from([0x22, 0xff, 0x22]));
      expect(problemOf(await wire.response()).detail).toContain('not valid UTF-8');
    });

    it.each(['[]', 'null', '0', '"\\"[[[[[[[[[[[[[[[[[[["', '{"a":"__proto__"}', ' {} \r\n\t'])(
      'takes %j',
      async (body) => expect((await post(body)).status).toBe(200),
    );
  });

  describe('uploads', () => {
    it('keeps the body for a handler that answers later', async () => {
      const bodies = Array.from({ length: 50 }, (_, index) => `"${index}"`.padEnd(400));
      const answers = await Promise.all(
        bodies.map((body) => subject.ask('POST', '/later', JSON_TYPE, body)),
      );
      expect(answers.map((each) => each.body)).toEqual(bodies);
    });

    it('takes a body that comes byte by byte', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}content-length: 7\r\n\r\n`);
      for (const byte of '{"a":1}') await wire.send(byte);
      expect((await wire.response()).body).toBe('{"got":{"a":1}}');
    });

    it('forgets an upload that is broken off: no answer, no handler, one report', async () => {
      subject.aborts.length = 0;
      subject.requests.length = 0;
      for (const framing of ['content-length: 10', 'transfer-encoding: chunked']) {
        const wire = await subject.wire();
        await wire.send(`${CHUNKED}${framing}\r\n\r\n`);
        await wire.send(framing.startsWith('c') ? '{"a"' : chunk('{"a"'));
        // The server answers on another connection only after it has seen the bytes above.
        await subject.ask('GET', '/');
        wire.destroy();
      }
      await subject.reported(() => subject.aborts.length === 2);
      expect(subject.aborts).toEqual(['/json', '/json']);
      expect(subject.requests.map((each) => each.pattern)).toEqual(['/', '/']);
      expect(subject.errors).toEqual([]);
    });

    it('cuts off an upload that drips', async () => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}content-length: 900\r\n\r\n[`);
      const drip = setInterval(() => void wire.send(' '), 50);
      const response = await wire.response().finally(() => clearInterval(drip));
      expect(response.status).toBe(408);
      expect(problemOf(response)).toMatchObject({ code: 'request_timeout', retryable: true });
      await wire.ended();
    });

    it.each([
      ['a length that is no number', 'content-length: 1x\r\n\r\n{}'],
      ['a negative length', 'content-length: -2\r\n\r\n{}'],
      ['an absurd length', `content-length: ${'9'.repeat(30)}\r\n\r\n{}`],
      ['a length and chunks', `content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
      ['a bad chunk size', 'transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'],
    ])('refuses %s, runs no handler and ends the connection', async (_, rest) => {
      const wire = await subject.wire();
      await wire.send(`${CHUNKED}${rest}`);
      const response = await wire.response();
      expect([400, 413]).toContain(response.status);
      await wire.ended();
      expect((await subject.ask('GET', '/')).body).toBe('root');
    });
  });
});
