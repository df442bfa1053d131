/**
 * Callers of one kind: each has a connection and a flow. What a caller is doing:
 *
 *     idle      open loop: its next request is there, and waits for a time that is due
 *     waiting   closed loop: its next request has a time of its own, which is still to come
 *     asking    its request is under way
 *     opening   its request timed out: the connection is closed, because an answer that comes late
 *               must not be taken for the next one's, and the new one is not open yet
 *     retired   its flow has nothing more to send, or the load has ended
 */
import { Fifo } from './fifo.ts';
import type { Flow, FlowAnswer, FlowRequest } from './flow.ts';
import type { LoadTally } from './load-tally.ts';
import { bodyText, statusOf, WireConnection } from './wire-connection.ts';

export interface StreamOptions {
  readonly host: string;
  readonly port: number;
  readonly seconds: number;
  /** Requests a second; absent: closed loop. */
  readonly rate?: number;
  readonly timeoutMs: number;
  /** How long after the end requests are sent that were due before. */
  readonly drainMs: number;
  /** Open loop: what no free caller took so long after it was due is not sent; absent: it waits. */
  readonly patienceMs?: number;
}

const TICK_MS = 1;
/** How often is looked for requests that have no answer in time. */
const SWEEP_MS = 50;
/** Servers close what is idle for longer: node:http after 5 s, uWebSockets.js after 10. */
const IDLE_MS_MAX = 4_000;
const NO_TEXT = (): string => '';

export class LoadStream {
  readonly #options: StreamOptions;
  readonly #tally: LoadTally;
  readonly #callers: Caller[];
  /** Who waits longest is sent first: what a flow has to say next must not grow old. */
  readonly #idle = new Fifo<Caller>();
  /** Neither idle nor retired. */
  #busy = 0;
  #retired = 0;
  /** Open loop: how many requests were due until now, of them sent and given up, and due in all. */
  #due = 0;
  #sent = 0;
  #unsent = 0;
  #dueInAll = 0;
  #backlogMax = 0;
  #startMs = 0;
  #endsAtMs = 0;
  #ticker: NodeJS.Timeout | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #finish: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(flows: readonly Flow[], tally: LoadTally, options: StreamOptions) {
    this.#options = options;
    this.#tally = tally;
    this.#callers = flows.map((flow) => new Caller(flow));
  }

  get backlogMax(): number {
    return this.#backlogMax;
  }

  get unsent(): number {
    return this.#unsent;
  }

  /** Of what was due: sent or given up, in the order in which it was due. */
  get #taken(): number {
    return this.#sent + this.#unsent;
  }

  get #patienceMs(): number {
    return this.#options.patienceMs ?? Number.POSITIVE_INFINITY;
  }

  async connect(): Promise<void> {
    // One after the other: a listening socket's queue is short.
    for (const caller of this.#callers) await this.#open(caller);
  }

  /** Resolves when all is answered; rejects when a connection is lost. */
  async run(startMs: number): Promise<void> {
    const { seconds, rate } = this.#options;
    this.#startMs = startMs;
    this.#endsAtMs = startMs + seconds * 1_000;
    this.#dueInAll = rate === undefined ? 0 : Math.floor(seconds * rate);
    this.#sweeper = setInterval(() => this.#sweep(performance.now()), SWEEP_MS);
    await new Promise<void>((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
      this.#orFail(() => {
        for (const caller of this.#callers) this.#goOn(caller, undefined, startMs);
        if (rate !== undefined) this.#tick(rate);
        this.#finishWhenDone();
      });
    });
  }

  close(): void {
    clearTimeout(this.#ticker);
    clearInterval(this.#sweeper);
    for (const caller of this.#callers) {
      clearTimeout(caller.timer);
      caller.connection?.close();
    }
  }

  async #open(caller: Caller): Promise<void> {
    const { host, port } = this.#options;
    const connection = new WireConnection(host, port, {
      answered: (bytes) => this.#orFail(() => this.#answered(caller, bytes)),
      lost: (why) => this.#lost(caller, connection, why),
    });
    caller.connection = connection;
    await connection.isOpen;
    caller.usedMs = performance.now();
  }

  /** A server may close what is idle; while a request is under way, it may not. */
  #lost(caller: Caller, connection: WireConnection, why: string): void {
    if (caller.timesOutMs !== Number.POSITIVE_INFINITY) {
      this.#fail(new Error(`a connection was lost: ${why}`));
      return;
    }
    connection.close();
    caller.connection = undefined;
  }

  /** Closes what there is; then, unless there is another one by then. */
  #renew(caller: Caller, then: () => void): void {
    caller.connection?.close();
    const opening = this.#open(caller);
    const { connection } = caller;
    opening.then(
      () => {
        if (caller.connection === connection) this.#orFail(then);
      },
      (error: unknown) => this.#fail(new Error('a connection was lost', { cause: error })),
    );
  }

  /** A late timer makes up for what it missed: what was due in each tick counts from that tick. */
  #tick(rate: number): void {
    const nowMs = performance.now();
    const ticks = Math.floor((nowMs - this.#startMs) / TICK_MS) + 1;
    this.#due = Math.min(this.#dueInAll, Math.floor((ticks * TICK_MS * rate) / 1_000));
    this.#giveUp(rate, nowMs - this.#patienceMs, nowMs);
    while (this.#taken < this.#due) {
      const caller = this.#idle.shift();
      if (caller === undefined) break;
      this.#busy++;
      this.#send(caller, this.#takeDue(rate), nowMs);
    }
    this.#backlogMax = Math.max(this.#backlogMax, this.#due - this.#taken);
    if (this.#due < this.#dueInAll) {
      // Where less than one a tick is due, most ticks have nothing to do.
      const nextMs = this.#dueMs(this.#due + 1, rate);
      this.#ticker = setTimeout(() => this.#tick(rate), nextMs - nowMs);
    }
    this.#finishWhenDone();
  }

  /** The beginning of the tick in which the next request is due. */
  #takeDue(rate: number): number {
    this.#sent++;
    return this.#dueMs(this.#taken, rate);
  }

  /** Never sends what was due before `beforeMs` and waits still. */
  #giveUp(rate: number, beforeMs: number, nowMs: number): void {
    while (this.#taken < this.#due) {
      const nth = this.#taken + 1;
      const dueMs = this.#dueMs(nth, rate);
      if (dueMs >= beforeMs) return;
      // All at once that were due in one tick: of many times what can be sent, most are never sent.
      const last = Math.floor((tickOf(nth, rate) * TICK_MS * rate) / 1_000);
      const count = Math.max(1, Math.min(last, this.#due) - this.#taken);
      this.#unsent += count;
      this.#tally.countUnsent(nowMs - dueMs, count);
    }
  }

  #dueMs(nth: number, rate: number): number {
    return this.#startMs + (tickOf(nth, rate) - 1) * TICK_MS;
  }

  /** Tells the flow, and does what it says. */
  #goOn(caller: Caller, answer: FlowAnswer | undefined, nowMs: number): void {
    const request = caller.flow.next(answer);
    caller.request = request;
    if (request === undefined) this.#retired++;
    else if (this.#options.rate !== undefined) this.#goOnOpen(caller, this.#options.rate, nowMs);
    else this.#goOnClosed(caller, request, nowMs);
  }

  #goOnOpen(caller: Caller, rate: number, nowMs: number): void {
    this.#giveUp(rate, nowMs - this.#patienceMs, nowMs);
    if (this.#taken < this.#due) {
      this.#busy++;
      this.#send(caller, this.#takeDue(rate), nowMs);
    } else this.#idle.push(caller);
  }

  #goOnClosed(caller: Caller, request: FlowRequest, nowMs: number): void {
    const dueMs = request.dueMs === undefined ? nowMs : this.#startMs + request.dueMs;
    if (Math.max(dueMs, nowMs) >= this.#endsAtMs) {
      this.#retired++;
      return;
    }
    this.#busy++;
    if (dueMs <= nowMs) {
      this.#send(caller, dueMs, nowMs);
      return;
    }
    caller.timer = setTimeout(() => this.#send(caller, dueMs, performance.now()), dueMs - nowMs);
  }

  #send(caller: Caller, dueMs: number, nowMs: number): void {
    const { connection, request } = caller;
    if (request === undefined) throw new Error('bug: nothing to send');
    caller.dueMs = dueMs;
    caller.sentMs = nowMs;
    caller.timesOutMs = nowMs + this.#options.timeoutMs;
    if (connection !== undefined && nowMs - caller.usedMs < IDLE_MS_MAX) {
      connection.send(request.bytes);
    } else this.#renew(caller, () => caller.connection?.send(request.bytes));
  }

  #answered(caller: Caller, bytes: Buffer): void {
    const { request } = caller;
    if (request === undefined || caller.timesOutMs === Number.POSITIVE_INFINITY) {
      this.#fail(new Error('a connection was lost: an answer came that nobody asked for'));
      return;
    }
    const nowMs = performance.now();
    caller.usedMs = nowMs;
    const status = statusOf(bytes);
    this.#settle(caller, request, status, nowMs, () => bodyText(bytes));
    this.#goOn(caller, new WireAnswer(status, nowMs - this.#startMs, bytes), nowMs);
    this.#finishWhenDone();
  }

  #settle(
    caller: Caller,
    { label }: FlowRequest,
    status: number,
    nowMs: number,
    textOf: () => string,
  ): void {
    const times = {
      sinceDueMs: nowMs - caller.dueMs,
      sinceSentMs: nowMs - caller.sentMs,
      atMs: nowMs - this.#startMs,
    };
    this.#tally.count(label, status, times, textOf);
    caller.timesOutMs = Number.POSITIVE_INFINITY;
    this.#busy--;
  }

  #sweep(nowMs: number): void {
    for (const caller of this.#callers) {
      if (caller.timesOutMs <= nowMs && caller.request !== undefined) {
        this.#timeOut(caller, caller.request, nowMs);
      }
    }
    const { rate, drainMs } = this.#options;
    if (rate === undefined || nowMs < this.#endsAtMs + drainMs) return;
    this.#giveUp(rate, Number.POSITIVE_INFINITY, nowMs);
    this.#due = this.#taken;
    this.#dueInAll = this.#taken;
    this.#finishWhenDone();
  }

  #timeOut(caller: Caller, request: FlowRequest, nowMs: number): void {
    this.#settle(caller, request, 0, nowMs, NO_TEXT);
    this.#busy++;
    this.#renew(caller, () => this.#openedAgain(caller, performance.now()));
  }

  #openedAgain(caller: Caller, nowMs: number): void {
    this.#busy--;
    this.#goOn(caller, new WireAnswer(0, nowMs - this.#startMs, undefined), nowMs);
    this.#finishWhenDone();
  }

  /** A flow that throws has found what must not be: then nothing was measured. */
  #orFail(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #finishWhenDone(): void {
    if (this.#busy > 0) return;
    const isAllTaken = this.#options.rate !== undefined && this.#taken >= this.#dueInAll;
    if (isAllTaken || this.#retired === this.#callers.length) this.#finish();
  }
}

/** One caller; see the states above. */
class Caller {
  readonly flow: Flow;
  connection: WireConnection | undefined;
  /** The one under way, else the next. */
  request: FlowRequest | undefined;
  /** When it was due; its latency counts from then. */
  dueMs = 0;
  sentMs = 0;
  /** Of the request under way. */
  timesOutMs = Number.POSITIVE_INFINITY;
  /** When its connection was opened, or brought an answer. */
  usedMs = 0;
  timer: NodeJS.Timeout | undefined;

  constructor(flow: Flow) {
    this.flow = flow;
  }
}

class WireAnswer implements FlowAnswer {
  readonly status: number;
  readonly atMs: number;
  readonly #bytes: Buffer | undefined;

  constructor(status: number, atMs: number, bytes: Buffer | undefined) {
    this.status = status;
    this.atMs = atMs;
    this.#bytes = bytes;
  }

  text(): string {
    return this.#bytes?.toString('latin1') ?? '';
  }

  body(): unknown {
    return this.#bytes === undefined ? undefined : JSON.parse(bodyText(this.#bytes));
  }
}

/** In which the nth request is due; counted from 1, as requests are. */
function tickOf(nth: number, rate: number): number {
  return Math.ceil((nth * 1_000) / (rate * TICK_MS));
}
