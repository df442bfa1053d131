// The contract of the port, part six: clients that ask and do not read. What the kernel holds for
// them (4 MB a connection here, up to 40 elsewhere) is not the server's; what is beyond it must end.

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Route } from './router.ts';
import { describeTransports, problemOf, Subject } from './test-subject.ts';
import type { WireResponse } from './test-wire.ts';
import { requestText, Signal } from './test-wire.ts';

/** More than the kernel holds of one connection, and less than would hurt a machine that fails. */
const ANSWERS_BYTES_MAX = 160_000_000;
/** Of a server that closes; nobody needs it. */
const GRACE_MS = 20_000;
/** No answer for so long: the server has ceased to read from the client. */
const STALL_MS = 1_000;

const SMALL = 'a'.repeat(4_000);
const LARGE = 'b'.repeat(100_000);
/** Of two bytes each, which must not be torn. */
const HUGE = 'é'.repeat(10_000_000);

const BYTES = Buffer.from('c'.repeat(20_000_000));

const ROUTES: readonly Route[] = [
  { method: 'GET', pattern: '/small', handle: (exchange) => exchange.respond(200, {}, SMALL) },
  {
    method: 'GET',
    pattern: '/soon',
    handle: (exchange) => void setImmediate(() => exchange.respond(200, {}, SMALL)),
  },
  { method: 'GET', pattern: '/large', handle: (exchange) => exchange.respond(200, {}, LARGE) },
  { method: 'GET', pattern: '/huge', handle: (exchange) => exchange.respond(200, {}, HUGE) },
  {
    method: 'GET',
    pattern: '/api/v1/crowd',
    handle: (exchange) => exchange.respond(200, {}, SMALL),
  },
  { method: 'GET', pattern: '/bytes', handle: (exchange) => exchange.respond(200, {}, BYTES) },
];

/** A connection of which nothing is read until `read`. */
class Unread {
  readonly socket: Socket;
  readonly #signal = new Signal();
  /** False, once the server has closed the connection. */
  readonly ended: Promise<false>;
  closed = false;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true }).pause();
    this.socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.closed = true;
        this.#signal.changed();
        resolve(false);
      });
    });
  }

  /** All that comes until the body of the first response has that many bytes. */
  async read(bodyBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    this.socket.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      this.#signal.changed();
    });
    this.socket.resume();
    const enough = (): boolean =>
      bytes > bodyBytes && bodyOf(Buffer.concat(parts)).length >= bodyBytes;
    await this.#signal.until(
      () => this.closed || enough(),
      () => `${bytes} bytes came`,
    );
    return bodyOf(Buffer.concat(parts));
  }
}

/** Whether it ends long before the grace does. */
async function isInTime(closing: Promise<void>): Promise<boolean> {
  return Promise.race([closing.then(() => true), sleep(GRACE_MS / 4, false, { ref: false })]);
}

function bodyOf(response: Buffer): Buffer {
  return response.subarray(response.indexOf('\r\n\r\n') + 4);
}

await describeTransports('clients that do not read', (transport) => {
  let subject: Subject;
  let client: Unread;
  beforeEach(async () => {
    subject = await Subject.start(transport, ROUTES, { requestsMax: 1 });
    client = new Unread(subject.server.port);
  });
  afterEach(async () => {
    client.socket.destroy();
    await subject.end();
  });

  /** Asks until the server has had enough; how many it answered. */
  async function askWithoutReading(path: string, atOnce: number, answersMax: number) {
    const text = requestText('GET', path).repeat(atOnce);
    for (let asked = atOnce; asked <= answersMax; asked += atOnce) {
      client.socket.write(text);
      const isAnswered = () => subject.requests.length >= asked;
      const answered = subject.signal
        .until(isAnswered, () => 'stalled', STALL_MS)
        .then(
          () => true,
          () => false,
        );
      if (!(await Promise.race([answered, client.ended]))) break;
    }
    return subject.requests.length;
  }

  it.each([
    ['/small', 8, SMALL],
    ['/soon', 1, SMALL],
    ['/large', 2, LARGE],
  ])('%s, %d at once: the answers that are kept for it end', async (path, atOnce, body) => {
    const answersMax = ANSWERS_BYTES_MAX / body.length;
    expect(await askWithoutReading(path, atOnce, answersMax)).toBeLessThan(answersMax / 2);
    // Who does not read does not see the end either.
    client.socket.resume();
    if (transport === 'uws') await client.ended;
    expect(subject.aborts).toEqual([]);
  });

  it.each([
    ['text', '/huge', Buffer.from(HUGE)],
    ['bytes', '/bytes', BYTES],
  ])(
    'an answer of %s comes whole, however late it is read; until then it is in flight',
    async (_, path, body) => {
      client.socket.write(requestText('GET', path));
      await subject.reported(() => subject.requests.length === 1);
      expect(subject.requests).toEqual([{ pattern: path, status: 200 }]);
      // The second of two requests for which there is one place.
      const refused = await subject.ask('GET', '/api/v1/crowd');
      expect(refused.status).toBe(503);
      expect(problemOf(refused)).toMatchObject({ status: 503, code: 'overloaded' });
      let isClosed = false;
      const close = () =>
        subject.server.close(GRACE_MS).then(() => {
          isClosed = true;
        });
      // node:http takes what it has given to the socket for done.
      const closing = transport === 'uws' ? close() : undefined;
      if (closing) await expect(subject.wire()).rejects.toThrow('ECONNREFUSED');
      expect(isClosed).toBe(false);
      expect((await client.read(body.length)).equals(body)).toBe(true);
      if (closing) expect(await isInTime(closing)).toBe(true);
    },
  );

  it('an answer that nobody reads any more is not in flight', async () => {
    client.socket.write(requestText('GET', '/huge'));
    await subject.reported(() => subject.requests.length === 1);
    client.socket.destroy();
    const ask = async (): Promise<number> => {
      const { status } = await subject.ask('GET', '/api/v1/crowd');
      return status === 200 ? status : ask();
    };
    expect(await ask()).toBe(200);
    expect(subject.aborts).toEqual([]);
    expect(await isInTime(subject.server.close(GRACE_MS))).toBe(true);
  });
});

await describeTransports('answers that are never asked whether they were taken', (transport) => {
  it.each([
    ['OPTIONS', '/small', {}, 204],
    ['HEAD', '/small', {}, 200],
    ['POST', '/nowhere', { 'transfer-encoding': 'chunked' }, 404],
  ])(
    '%s %s, of which some cost the connection, and say so',
    async (method, path, headers, status) => {
      const subject = await Subject.start(transport, ROUTES);
      const isRefusal = method === 'POST';
      const text = requestText(method, path, headers) + (isRefusal ? '0\r\n\r\n' : '');
      const perWire = isRefusal ? 1 : 64;
      // A refusal ends the connection anyway; then there is a line end behind its body.
      const isLookedAfter = (each: WireResponse | undefined): boolean =>
        each?.headers.get('connection') === 'close' && (!isRefusal || each.body.endsWith('\r\n'));
      let told = 0;
      for (let wires = 0; wires < 3_000 / perWire && told === 0; wires += 1) {
        const wire = await subject.wire();
        for (let asked = 1; asked <= perWire && told === 0; asked += 1) {
          await wire.send(text);
          const last = (await wire.responses(asked, method === 'HEAD'))[asked - 1];
          expect([last?.status, last?.headers.has('date')]).toEqual([status, true]);
          if (method === 'HEAD') expect(last?.headers.get('content-length')).toBe('4000');
          else expect(last?.headers.has('content-length')).toBe(isRefusal);
          if (last && isRefusal) expect(problemOf(last).code).toBe('route_not_found');
          told += Number(isLookedAfter(last));
        }
        if (isRefusal || told > 0) await wire.ended();
        wire.destroy();
      }
      await subject.end();
      if (transport === 'uws') expect(told).toBe(1);
    },
  );
});
