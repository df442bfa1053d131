/**
 * Free loopback ports. They are taken below the range from which kernels hand out the ports of
 * outgoing connections (32768 on Linux, 49152 on macOS): a server that is restarted on its port
 * must not find it occupied by some client's socket in the meantime.
 */
import { createServer } from 'node:net';

const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
/** So many taken ports in a row mean that something else is wrong. */
const ATTEMPTS_MAX = 200;

const LOOPBACK = '127.0.0.1';

/** A port of this loopback address that nobody listens on now. */
export async function freePort(host = LOOPBACK): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (await isPortFree(port, host)) return port;
  }
  throw new Error(
    `found no free port of ${host} between ${PORT_MIN} and ${PORT_MAX} in ${ATTEMPTS_MAX} attempts`,
  );
}

/**
 * Starts something on the wished port when that is free, else on another one. A port that was free
 * a moment ago may be taken by the time the server binds it: then once more on another.
 */
export async function onFreePort<T>(
  start: (port: number) => Promise<T>,
  wished?: number,
): Promise<T> {
  const isWishedFree = wished !== undefined && (await isPortFree(wished));
  const port = isWishedFree ? wished : await freePort();
  try {
    return await start(port);
  } catch (error) {
    if (await isPortFree(port)) throw error;
    return await start(await freePort());
  }
}

export function isPortFree(port: number, host = LOOPBACK): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}
