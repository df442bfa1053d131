/** Why a server cannot listen, said so that the reader knows what to do. */
import { createServer } from 'node:net';

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop what listens there, or choose another port (0: a free one)',
  EACCES: 'this user may not listen there; choose a port of 1024 or above',
  EADDRNOTAVAIL: 'this machine has no such address; choose 127.0.0.1, 0.0.0.0 or one of its own',
  ENOTFOUND: 'the host name cannot be resolved; write an address',
};

/** The message is all that a person needs. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** Of the system error. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

export function listenError(host: string, port: number, code: string): ListenError {
  const advice = ADVICE[code] ?? 'see the code';
  return new ListenError(`cannot listen on ${host}:${port}: ${advice} (${code})`, code);
}

/** The code of the system error that listening there gives; for uWS, which only says that it failed. */
export function whyNotListening(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'UNKNOWN'));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve('UNKNOWN')));
  });
}

/** Throws ListenError when nobody could listen there now: before work is begun that would be in vain. */
export async function requireFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const code = await whyNotListening(host, port);
  if (code !== 'UNKNOWN') throw listenError(host, port, code);
}

/** A port that was free when it was looked for; whoever takes it must be ready to find it taken. */
export function findFree(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      reject(listenError(host, 0, error.code ?? 'UNKNOWN')),
    );
    probe.listen({ host, port: 0, exclusive: true }, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
