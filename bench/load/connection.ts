/**
 * One keep-alive connection of the load client, one exchange on it at a time.
 *
 * States: `connecting` -> `idle` <-> `busy` -> `closed`. `#exchange` is set exactly while `busy`. From `closed`
 * nothing leads back; every way there goes through `#close`, which settles the exchange that was under way.
 */
import { connect, type Socket } from 'node:net';
import type { HttpResponse } from './response.ts';
import { ResponseReader } from './response.ts';

export type ConnectionState = 'connecting' | 'idle' | 'busy' | 'closed';
export type LossCode = 'connect_failed' | 'connection_lost' | 'bad_response';

export interface Exchange {
  /** The whole request as it goes over the wire. */
  readonly wire: string;
  answered(response: HttpResponse): void;
  /** No answer will come; the request may have been carried out all the same. */
  lost(code: LossCode, problem: string): void;
}

export interface ConnectionEvents {
  /** Connected, or done with an exchange: the next one may be sent. */
  readonly idle: (connection: Connection) => void;
  /** Called once. `problem` says why, when it never got connected. */
  readonly closed: (connection: Connection, connectProblem: string | undefined) => void;
}

export class Connection {
  #state: ConnectionState = 'connecting';
  #exchange: Exchange | undefined;
  #idleSinceMs = 0;
  readonly #socket: Socket;
  readonly #reader = new ResponseReader();
  readonly #events: ConnectionEvents;

  constructor(host: string, port: number, events: ConnectionEvents) {
    this.#events = events;
    // Nagle would hold back the second of two small writes for an acknowledgement.
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.once('connect', () => this.#becomeIdle());
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#close('connection_lost', error.message));
    // The server will send no more: whatever is under way gets no answer.
    this.#socket.once('end', () => this.#close('connection_lost', 'the server closed it'));
    this.#socket.once('close', () => this.#close('connection_lost', 'it closed'));
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** On the clock of performance.now(). */
  get idleSinceMs(): number {
    return this.#idleSinceMs;
  }

  send(exchange: Exchange): void {
    if (this.#state !== 'idle') throw new Error(`a ${this.#state} connection cannot send`);
    this.#state = 'busy';
    this.#exchange = exchange;
    this.#socket.write(exchange.wire);
  }

  /** Drops the connection; an exchange under way hears `lost`, unless it has been settled before. */
  destroy(problem: string): void {
    this.#close('connection_lost', problem);
  }

  #becomeIdle(): void {
    if (this.#state === 'closed') return;
    this.#state = 'idle';
    this.#idleSinceMs = performance.now();
    this.#events.idle(this);
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    if (this.#exchange === undefined) {
      this.#close('bad_response', 'bytes came that answer no request');
      return;
    }
    let response: HttpResponse | undefined;
    try {
      response = this.#reader.push(chunk);
    } catch (error) {
      this.#close('bad_response', error instanceof Error ? error.message : String(error));
      return;
    }
    if (response === undefined) return;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange.answered(response);
    if (response.keepsAlive) this.#becomeIdle();
    else this.#close('connection_lost', 'the server closes after each response');
  }

  #close(code: LossCode, problem: string): void {
    if (this.#state === 'closed') return;
    const neverConnected = this.#state === 'connecting';
    this.#state = 'closed';
    this.#socket.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.lost(
      code,
      this.#reader.isBegun ? `${problem}, in the middle of a response` : problem,
    );
    this.#events.closed(this, neverConnected ? problem : undefined);
  }
}
