// Why a server cannot listen, said so that the reader knows what to do.

import { createServer } from 'node:net';

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop what listens there, or choose another port (0: a free one)',
  EACCES: 'this user may not listen there; choose a port of 1024 or above',
  EADDRNOTAVAIL: 'this machine has no such address; choose 127.0.0.1, 0.0.0.0 or one of its own',
  ENOTFOUND: 'the host name cannot be resolved; write an address',
};

/** `code` is that of the system error. */
export function listenError(host: string, port: number, code: string): Error {
  const advice = ADVICE[code] ?? 'see the code';
  return Object.assign(new Error(`cannot listen on ${host}:${port}: ${advice} (${code})`), {
    code,
  });
}

/** The code of the system error that listening there gives; for uWS, which only says that it failed. */
export function whyNotListening(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'UNKNOWN'));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve('UNKNOWN')));
  });
}
