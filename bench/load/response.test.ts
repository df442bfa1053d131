/** The response reader: framing, wherever the bytes are cut, and what it refuses. */
import { describe, expect, it } from 'vitest';
import type { HttpResponse } from './response.ts';
import { ResponseReader } from './response.ts';

const OK = 'HTTP/1.1 201 Created\r\nContent-Length: 7\r\nX-Id:  a b \r\n\r\n{"é":1}'.replace(
  '7',
  '8',
);

function read(...chunks: (string | Buffer)[]): HttpResponse | undefined {
  const reader = new ResponseReader();
  let response: HttpResponse | undefined;
  for (const chunk of chunks) {
    expect(response).toBeUndefined();
    response = reader.push(Buffer.from(chunk));
  }
  return response;
}

describe('ResponseReader', () => {
  const expected: HttpResponse = {
    status: 201,
    headers: { 'content-length': '8', 'x-id': 'a b' },
    body: '{"é":1}',
    keepsAlive: true,
  };

  it('reads a response wherever it is cut', () => {
    const bytes = Buffer.from(OK);
    expect(read(bytes)).toEqual(expected);
    expect(read(...[...bytes].map((byte) => Buffer.of(byte)))).toEqual(expected);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(expected);
    }
  });

  it('reads one after the other', () => {
    const reader = new ResponseReader();
    expect(reader.push(Buffer.from(OK))).toEqual(expected);
    expect(reader.isBegun).toBe(false);
    expect(reader.push(Buffer.from(OK.slice(0, 30)))).toBeUndefined();
    expect(reader.isBegun).toBe(true);
    expect(reader.push(Buffer.from(OK.slice(30)))).toEqual(expected);
  });

  it.each<[string, Partial<HttpResponse>]>([
    ['HTTP/1.1 204 No Content\r\n\r\n', { status: 204, body: '' }],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', { status: 204, body: '' }],
    ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { status: 200, body: '' }],
    [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`, expected],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n', { keepsAlive: false }],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', { keepsAlive: false }],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: 1\r\na: 2\r\n\r\n',
      { headers: { 'content-length': '0', a: '1, 2' } },
    ],
  ])('reads %j', (text, part) => {
    expect(read(text)).toMatchObject(part);
  });

  it.each([
    ['HTTP/1.1 200 OK\r\n\r\n', /no Content-Length/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /is chunked/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n', /Content-Length is "1e3"/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /"1, 2"/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n', /"999999999"/],
    ['HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', /no header: "nonsense"/],
    ['HTTP/2 200\r\n\r\n', /no HTTP\/1.1 status line/],
    [`${OK}H`, /1 bytes follow/],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}`, /longer than/],
  ])('refuses %.60j', (text, problem) => {
    expect(() => read(text)).toThrow(problem);
  });
});
