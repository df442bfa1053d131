/** Requests as bytes. Put together from text: that costs less than patching a copy of a template. */
import type { FlowTarget } from '../flow.ts';

/** All text that comes here is ASCII: ids, numbers and JSON of them. */
const ENCODING = 'latin1';

export type Method = 'GET' | 'POST' | 'PUT';

export function request(
  target: Pick<FlowTarget, 'host' | 'port'>,
  method: Method,
  path: string,
  body?: string,
  headers = '',
): Buffer {
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const type = body === undefined ? '' : 'Content-Type: application/json\r\n';
  const head =
    `${method} ${path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n` +
    `${type}${length}${headers}\r\n`;
  return Buffer.from(head + (body ?? ''));
}

/** Makes requests that differ in body and key only: the head is put together once. */
export type PostMaker = (body: string, key?: string) => Buffer;

export function postMaker(target: Pick<FlowTarget, 'host' | 'port'>, path: string): PostMaker {
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n` +
    'Content-Type: application/json\r\nContent-Length: ';
  return (body, key) =>
    Buffer.from(
      key === undefined
        ? `${head}${body.length}\r\n\r\n${body}`
        : `${head}${body.length}\r\nIdempotency-Key: ${key}\r\n\r\n${body}`,
      ENCODING,
    );
}

const ID_START = '"reservation_id":"';

/** The reservation that an answer speaks of, read from its text: parsing it all would cost more. */
export function reservationIdIn(text: string): string {
  const from = text.indexOf(ID_START) + ID_START.length;
  const to = text.indexOf('"', from);
  if (from < ID_START.length || to < 0) throw new Error(`no reservation_id in ${text}`);
  return text.slice(from, to);
}
