/**
 * Sends one and the same request over many keep-alive connections, each with one request under way,
 * and reads of an answer no more than its status and its length: a load generator that leaves the
 * cores to what is measured. uWebSockets.js closes a connection that pipelines behind an answer
 * that is still to come, so nothing is pipelined here.
 *
 * Closed loop: each connection sends as soon as it is answered. Open loop: every TICK_MS as many
 * requests are due as the rate says, whatever is unanswered; a latency counts from the tick, so a
 * server that stalls, or a generator that is late, hides nothing (coordinated omission).
 */
import { connect, type Socket } from 'node:net';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface LoadPlan {
  readonly host: string;
  readonly port: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second; absent: closed loop. */
  readonly rate?: number;
}

export interface LoadResult {
  readonly answers: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly latency: LatencySummary;
  /** Of the generator, us a request. */
  readonly cpuUsPerRequest: number;
  /** Open loop: most requests that waited for a free connection at one time. */
  readonly backlogMax: number;
}

const TICK_MS = 1;
const CHUNK_BYTES = 16 * 1024;
const LATENCY = 'answer';
/** After the last request was sent. */
const DRAIN_MS_MAX = 30_000;

/** Rejects when a connection is lost or an answer cannot be read: then nothing was measured. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const load = new Load(plan);
  await load.connect();
  try {
    return await load.run();
  } finally {
    load.close();
  }
}

class Load {
  readonly #plan: LoadPlan;
  readonly #request: Buffer;
  readonly #connections: WireConnection[] = [];
  readonly #idle: WireConnection[] = [];
  /** When requests were due that wait for a connection; open loop only. */
  readonly #due: number[] = [];
  readonly #latencies = new LatencyBook();
  readonly #byStatus = new Map<number, number>();
  #sent = 0;
  #answers = 0;
  #backlogMax = 0;
  #endsAtMs = 0;
  #finish: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    const { method, path, host, port, body } = plan;
    const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    const type = body === undefined ? '' : 'Content-Type: application/json\r\n';
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${type}${length}\r\n`;
    this.#request = Buffer.from(head + (body ?? ''));
  }

  async connect(): Promise<void> {
    const { host, port, connections } = this.#plan;
    for (let i = 0; i < connections; i++) {
      const connection = new WireConnection(host, port, {
        answered: (status) => this.#answered(connection, status),
        lost: (why) => this.#fail(new Error(`a connection was lost: ${why}`)),
      });
      await connection.isOpen;
      this.#connections.push(connection);
      this.#idle.push(connection);
    }
  }

  async run(): Promise<LoadResult> {
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    this.#endsAtMs = startMs + this.#plan.seconds * 1_000;
    await new Promise<void>((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
      const { rate } = this.#plan;
      if (rate === undefined) this.#sendAll(startMs);
      else this.#tick(startMs, rate, 0);
    });
    const { user, system } = process.cpuUsage(cpu);
    return {
      answers: this.#answers,
      byStatus: Object.fromEntries(this.#byStatus),
      seconds: (performance.now() - startMs) / 1_000,
      latency: this.#latencies.summary(LATENCY),
      cpuUsPerRequest: (user + system) / Math.max(1, this.#answers),
      backlogMax: this.#backlogMax,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #sendAll(nowMs: number): void {
    for (const connection of this.#idle.splice(0)) this.#send(connection, nowMs);
  }

  #tick(startMs: number, rate: number, done: number): void {
    const nowMs = performance.now();
    let ticks = done;
    // A late timer makes up for what it missed, each tick with its own time.
    for (let atMs = startMs + ticks * TICK_MS; atMs <= nowMs; atMs = startMs + ticks * TICK_MS) {
      if (atMs >= this.#endsAtMs) {
        this.#drain();
        return;
      }
      const count = Math.floor(((ticks + 1) * rate) / 1_000) - Math.floor((ticks * rate) / 1_000);
      for (let i = 0; i < count; i++) this.#sendOrQueue(atMs);
      ticks++;
    }
    this.#backlogMax = Math.max(this.#backlogMax, this.#due.length);
    setTimeout(() => this.#tick(startMs, rate, ticks), startMs + ticks * TICK_MS - nowMs);
  }

  #sendOrQueue(dueMs: number): void {
    const connection = this.#idle.pop();
    if (connection === undefined) this.#due.push(dueMs);
    else this.#send(connection, dueMs);
  }

  #drain(): void {
    if (this.#answers === this.#sent && this.#due.length === 0) {
      this.#finish();
      return;
    }
    const timer = setTimeout(() => {
      this.#fail(new Error(`${this.#sent - this.#answers} answers did not come`));
    }, DRAIN_MS_MAX);
    const finish = this.#finish;
    this.#finish = () => {
      clearTimeout(timer);
      finish();
    };
  }

  #send(connection: WireConnection, dueMs: number): void {
    this.#sent++;
    connection.dueMs = dueMs;
    connection.send(this.#request);
  }

  #answered(connection: WireConnection, status: number): void {
    const nowMs = performance.now();
    this.#answers++;
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
    this.#latencies.record(LATENCY, nowMs - connection.dueMs);
    const next = this.#plan.rate === undefined ? nowMs : this.#due.shift();
    if (next !== undefined && (this.#plan.rate !== undefined || nowMs < this.#endsAtMs)) {
      this.#send(connection, next);
      return;
    }
    this.#idle.push(connection);
    if (this.#idle.length === this.#connections.length && nowMs >= this.#endsAtMs) this.#finish();
  }
}

interface WireEvents {
  readonly answered: (status: number) => void;
  readonly lost: (why: string) => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** One connection; `dueMs` is its user's note on the request that is under way. */
class WireConnection {
  dueMs = 0;
  readonly isOpen: Promise<void>;
  readonly #socket: Socket;
  readonly #events: WireEvents;
  /** The beginning of an answer whose end has not come; usually an answer is one chunk. */
  #begun: Buffer | undefined;

  constructor(host: string, port: number, events: WireEvents) {
    this.#events = events;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(CHUNK_BYTES),
        callback: (bytes, buffer) => {
          this.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
          return true;
        },
      },
    });
    this.isOpen = new Promise((resolve, reject) => {
      this.#socket.once('connect', () => resolve());
      this.#socket.once('error', reject);
    });
    this.#socket.on('close', () => events.lost('it was closed'));
    this.#socket.on('error', (error) => events.lost(error.message));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#begun === undefined ? chunk : Buffer.concat([this.#begun, chunk]);
    const length = answerLength(bytes);
    if (length === undefined || bytes.length < length) {
      // The buffer is read into again, so what is kept must be a copy.
      this.#begun = Buffer.from(bytes);
      return;
    }
    this.#begun = undefined;
    if (bytes.length > length) this.#events.lost('more came than one answer');
    else this.#events.answered(statusOf(bytes));
  }
}

/** Of head and body; undefined while the head is not there whole. Throws without a length. */
export function answerLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const [, digits] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
  if (digits === undefined) throw new Error(`an answer has no Content-Length:\n${head}`);
  return end + HEAD_END.length + Number(digits);
}

/** `HTTP/1.1 201 Created`: the three digits at 9. */
function statusOf(bytes: Buffer): number {
  return Number(bytes.toString('latin1', 9, 12));
}
