/**
 * Asks Redis for a PONG every millisecond, as a process of its own, so that nobody else's work delays
 * it: how long it waits is how long Redis was busy with others, or had no core. How much of that Redis
 * worked says its CPU meanwhile, which Linux knows to the tick, 1 to 4 ms. Host and port are its arguments,
 * and the pid of a Redis of this machine; it says `ready`, and when its stdin ends it prints what it saw.
 */
import { connect } from 'node:net';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';
import { Fifo } from './fifo.ts';
import { threadCpuMs } from './thread-cpu.ts';

export interface PingResult {
  /** From the sending. */
  readonly latency: LatencySummary;
  /** CPU of Redis' main thread from the sending to the answer; none where nobody can tell. */
  readonly busy: LatencySummary;
  /** How late the pinger itself was: what it could not have seen. */
  readonly late: LatencySummary;
  /** The longest in each tenth of a second that began so many seconds after the first. */
  readonly longest: readonly (readonly [atS: number, ms: number])[];
}

interface Sent {
  readonly atMs: number;
  readonly cpuMs: number | undefined;
}

const EVERY_MS = 1;
/** Longer without a turn, and the pinger itself had no core. */
const AWAKE_MS = 2 * EVERY_MS;
const SLOT_S = 0.1;
const PING = 'PING\r\n';
const PONG_BYTES = '+PONG\r\n'.length;

const [, , host, port, pid] = process.argv;
if (host === undefined || port === undefined)
  throw new Error('usage: ping-process HOST PORT [PID]');

const book = new LatencyBook();
const longest = new Map<number, number>();
/** When those that are under way were sent; Redis answers in order. */
const sent = new Fifo<Sent>();
const cpuMs = (): number | undefined => (pid === undefined ? undefined : threadCpuMs(Number(pid)));
const socket = connect({ host, port: Number(port), noDelay: true });
let received = 0;
let startMs = 0;
let dueMs = 0;
/** When the pinger last had a core. */
let awakeMs = 0;

socket.on('connect', () => {
  startMs = performance.now();
  dueMs = startMs;
  process.stdout.write('ready\n');
  ping();
});
socket.on('data', (chunk) => {
  const nowMs = performance.now();
  const usedMs = cpuMs();
  // Else the answer may have come long ago, and Redis has gone on to something else.
  const isAwake = nowMs - awakeMs <= AWAKE_MS;
  awakeMs = nowMs;
  received += chunk.length;
  for (; received >= PONG_BYTES; received -= PONG_BYTES) {
    const { atMs: sentMs, cpuMs: before } = sent.shift() ?? { atMs: nowMs, cpuMs: undefined };
    if (isAwake && usedMs !== undefined && before !== undefined) {
      book.record('busy', usedMs - before);
    }
    book.record('ping', nowMs - sentMs);
    const slot = Math.floor((sentMs - startMs) / 1_000 / SLOT_S);
    longest.set(slot, Math.max(longest.get(slot) ?? 0, nowMs - sentMs));
  }
});

function ping(): void {
  const nowMs = performance.now();
  awakeMs = nowMs;
  book.record('late', nowMs - dueMs);
  sent.push({ atMs: nowMs, cpuMs: cpuMs() });
  socket.write(PING);
  dueMs = Math.max(dueMs + EVERY_MS, nowMs);
  setTimeout(ping, Math.max(0, dueMs - performance.now()));
}

process.stdin.resume();
process.stdin.once('end', () => {
  const result: PingResult = {
    latency: book.summary('ping'),
    busy: book.summary('busy'),
    late: book.summary('late'),
    longest: [...longest].map(([slot, ms]) => [slot * SLOT_S, ms]),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
});
