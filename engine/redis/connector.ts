/**
 * How a client of ioredis gets its socket: it asks a source for the address at each connect, and
 * gives the socket up at once when the source says that the primary is elsewhere.
 *
 * Traps of ioredis 6 that this goes around (all seen):
 * - A connector that rejects ends the client for good ("end"). So a failure is a socket that is
 *   destroyed already, with the reason in `firstError`: then the client comes back by itself.
 * - `disconnect` ends the socket politely and waits two seconds for the other side, which never
 *   answers when it hangs. Here it is destroyed.
 * - What was in flight when a socket closes is rejected as "Reached the max retries per request
 *   limit (which is 0)". So it is rejected here first, with what happened.
 * - A socket without data in either direction is never found out to be dead; `socketTimeout`
 *   (connect.ts) does for what waits for a reply, and a move does for all others.
 */
import { connect as connectTcp, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, type RedisOptions } from 'ioredis';
import { type Address, sameAddress, showAddress } from '../runtime/redis-url.ts';
import type { RedisSource } from './source.ts';

/** The connection is gone, and with it the answers: what was in flight may have run, or not. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export interface ConnectorOptions {
  readonly source: RedisSource;
  /** Rejects what is in flight. */
  readonly reject: (error: ConnectionLost) => void;
  /** An open connection of this kind does not keep the process alive. */
  readonly isBackground?: boolean;
}

/** Begins an error in Redis's protocol. */
const MINUS = 0x2d;

type ErrorEmitter = (type: string, error: Error) => void;
type ConnectorClass = NonNullable<RedisOptions['Connector']>;

/** A class, because ioredis makes the connector itself. */
export function connectorTo(options: ConnectorOptions): ConnectorClass {
  return class extends SourceConnector {
    constructor() {
      super(options);
    }
  };
}

class SourceConnector extends AbstractConnector {
  readonly #options: ConnectorOptions;
  #address: Address | undefined;
  #emit: ErrorEmitter = () => undefined;
  #locating = new AbortController();
  #stopListening: (() => void) | undefined;

  constructor(options: ConnectorOptions) {
    super(0);
    this.#options = options;
  }

  override async connect(emit: ErrorEmitter): Promise<Socket> {
    const { source } = this.#options;
    this.#emit = emit;
    this.connecting = true;
    this.#locating = new AbortController();
    this.#address = undefined;
    delete this.firstError;
    this.#stopListening ??= source.onMove((to) => this.#move(to));
    try {
      const address = await source.locate(this.#locating.signal);
      if (!this.connecting) throw new Error('Connection is closed.');
      return this.#open(address);
    } catch (error) {
      this.firstError = error instanceof Error ? error : new Error(String(error));
      return new Socket().destroy();
    }
  }

  /** Asked with the node's INFO before anything else is sent. */
  override check(info: Readonly<Record<string, string>> | undefined): boolean {
    if (!this.#options.source.wantsPrimary || info?.role === undefined || info.role === 'master') {
      return true;
    }
    this.#options.source.doubt();
    this.#emit('error', new Error(`${this.#where()} is a replica by now, not the primary`));
    return false;
  }

  /** Also called ahead of a new connect; a source that nobody listens to lingers for a while. */
  override disconnect(): void {
    this.connecting = false;
    this.#locating.abort();
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.stream?.destroy();
  }

  #open(address: Address): Socket {
    const { source, isBackground, reject } = this.#options;
    const { localAddress, target } = source;
    const to = { ...address, ...(localAddress !== undefined && { localAddress }) };
    const stream = target.tls
      ? connectTls({ ...to, servername: serverName(address) })
      : connectTcp(to);
    if (isBackground === true) stream.unref();
    this.#address = address;
    this.stream = stream;
    let isUp = false;
    let refusal = '';
    stream.once(target.tls ? 'secureConnect' : 'connect', () => {
      isUp = true;
      // "max number of clients reached" and the like come unasked, and then the end.
      stream.once('data', (first: Buffer) => {
        if (first[0] === MINUS) refusal = ` (${String(first).slice(1).split('\r\n', 1)[0]})`;
      });
    });
    stream.once('error', (error) => {
      this.firstError = error;
    });
    // Ahead of the listener of ioredis, which would reject them without a reason.
    stream.once('close', () => {
      if (isUp && this.connecting) reject(this.#lost(`the connection broke${refusal}`));
    });
    return stream;
  }

  #move(to: Address): void {
    if (this.#address === undefined || sameAddress(this.#address, to)) return;
    this.#options.reject(this.#lost(`the primary is ${showAddress(to)} now`));
    this.stream?.destroy();
  }

  #lost(why: string): ConnectionLost {
    return new ConnectionLost(
      `Connection is closed: ${this.#where()}: ${why}. What was in flight may have run; it is not sent again.`,
    );
  }

  #where(): string {
    return `Redis at ${this.#address === undefined ? 'no address' : showAddress(this.#address)}`;
  }
}

/** TLS wants a name, and none that is an address. */
function serverName({ host }: Address): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}
