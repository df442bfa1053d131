/**
 * Asks Redis for a PONG every millisecond, as a process of its own, so that nobody else's work delays
 * it: how long it waits is how long Redis was busy with others. Host and port are its arguments; it
 * says `ready`, and when its stdin ends it prints what it saw.
 */
import { connect } from 'node:net';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';
import { Fifo } from './fifo.ts';

export interface PingResult {
  /** From the sending. */
  readonly latency: LatencySummary;
  /** How late the pinger itself was: what it could not have seen. */
  readonly late: LatencySummary;
  /** The longest in each tenth of a second that began so many seconds after the first. */
  readonly longest: readonly (readonly [atS: number, ms: number])[];
}

const EVERY_MS = 1;
const SLOT_S = 0.1;
const PING = 'PING\r\n';
const PONG_BYTES = '+PONG\r\n'.length;

const [, , host, port] = process.argv;
if (host === undefined || port === undefined) throw new Error('usage: ping-process HOST PORT');

const book = new LatencyBook();
const longest = new Map<number, number>();
/** When those that are under way were sent; Redis answers in order. */
const sent = new Fifo<number>();
const socket = connect({ host, port: Number(port), noDelay: true });
let received = 0;
let startMs = 0;
let dueMs = 0;

socket.on('connect', () => {
  startMs = performance.now();
  dueMs = startMs;
  process.stdout.write('ready\n');
  ping();
});
socket.on('data', (chunk) => {
  const nowMs = performance.now();
  received += chunk.length;
  for (; received >= PONG_BYTES; received -= PONG_BYTES) {
    const sentMs = sent.shift() ?? nowMs;
    book.record('ping', nowMs - sentMs);
    const slot = Math.floor((sentMs - startMs) / 1_000 / SLOT_S);
    longest.set(slot, Math.max(longest.get(slot) ?? 0, nowMs - sentMs));
  }
});

function ping(): void {
  const nowMs = performance.now();
  book.record('late', nowMs - dueMs);
  sent.push(nowMs);
  socket.write(PING);
  dueMs = Math.max(dueMs + EVERY_MS, nowMs);
  setTimeout(ping, Math.max(0, dueMs - performance.now()));
}

process.stdin.resume();
process.stdin.once('end', () => {
  const result: PingResult = {
    latency: book.summary('ping'),
    late: book.summary('late'),
    longest: [...longest].map(([slot, ms]) => [slot * SLOT_S, ms]),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
});
