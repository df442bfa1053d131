/**
 * The listener before one server. A connection goes through these states:
 *
 *   silent       accepted; who calls is read off the first bytes (all our protocols let the client
 *                speak first: Redis, Sentinel, PostgreSQL, Kafka)
 *   unanswered   the pair is cut in one direction or the other: a handshake needs both, so nothing
 *                is sent to the server until the cut is healed; when the caller gives up meanwhile,
 *                the server never hears of it
 *   joined       two conduits carry the bytes
 *
 * Other than a real cut, the caller's connect succeeds and then nothing answers: a process without
 * privileges cannot drop a SYN.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Conduit } from './conduit.ts';
import type { Address, Identify, Party, Rules } from './link.ts';

const POLL_MS = 10;

export interface Front {
  readonly address: Address;
  close(): Promise<void>;
}

export interface FrontOptions {
  /** The party that stands behind it. */
  readonly party: Party;
  readonly upstream: Address;
  /** Where the listener stands; the upstream's own host by default. */
  readonly listenHost?: string;
  readonly identify?: Identify;
}

type ListenOptions = FrontOptions & { readonly identify: Identify; readonly rules: Rules };

export async function listen(options: ListenOptions): Promise<Front> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    track(caller, sockets);
    caller.once('data', (first: Buffer) => {
      const party = options.identify(caller.remoteAddress ?? '', first);
      join(caller, first, party, options, sockets);
    });
  });
  const host = options.listenHost ?? options.upstream.host;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  return {
    address: { host, port: portOf(server) },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the front has no port');
  return address.port;
}

/** An error is followed by `close`, which is what the conduits look at. */
function track(socket: Socket, sockets: Set<Socket>): void {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.once('close', () => sockets.delete(socket));
}

function join(
  caller: Socket,
  first: Buffer,
  party: Party,
  options: ListenOptions,
  sockets: Set<Socket>,
): void {
  const { rules, upstream } = options;
  const there = new Conduit({ rules, from: party, to: options.party, source: caller });
  there.take(first);
  const shakeHands = (): void => {
    const isCut =
      rules.state(party, options.party).isHeld || rules.state(options.party, party).isHeld;
    if (isCut && !there.hasEnded) {
      setTimeout(shakeHands, POLL_MS).unref();
      return;
    }
    if (there.hasEnded) {
      there.drop();
      caller.destroy();
      return;
    }
    const callee = connect({ ...upstream, allowHalfOpen: true, noDelay: true });
    track(callee, sockets);
    const back = new Conduit({ rules, from: options.party, to: party, source: callee });
    there.open(callee);
    back.open(caller);
  };
  shakeHands();
}
