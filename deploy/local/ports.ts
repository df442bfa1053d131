/**
 * Free loopback ports. A server that is restarted on its port must not find it occupied in the
 * meantime. So they are taken below the range from which kernels hand out the ports of outgoing
 * connections (32768 on Linux, 49152 on macOS), and none is given out twice within CLAIM_MS, to
 * whatever process of this user: a claim is a file named after the port.
 */
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
/** So many taken ports in a row mean that something else is wrong. */
const ATTEMPTS_MAX = 200;
/** Longer than a whole run of the tests. */
const CLAIM_MS = 1_800_000;

const LOOPBACK = '127.0.0.1';

/** A port that nobody was given of late, and on which nobody listens now at this loopback address. */
export async function freePort(host = LOOPBACK): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    // Where all are claimed one that is free has to do.
    const isLate = attempt >= ATTEMPTS_MAX / 2;
    if ((isLate || claim(port)) && (await isPortFree(port, host))) return port;
  }
  throw new Error(
    `found no free port of ${host} between ${PORT_MIN} and ${PORT_MAX} in ${ATTEMPTS_MAX} attempts`,
  );
}

/** False: somebody else has it. */
function claim(port: number): boolean {
  const directory = join(tmpdir(), `holdfast-ports-${userInfo().uid}`);
  const file = join(directory, `${port}`);
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, '', { flag: 'wx' });
    return true;
  } catch {
    return isOver(file);
  }
}

/** Takes over a claim that has grown old; where claims cannot be written, each counts as that. */
function isOver(file: string): boolean {
  try {
    if (Date.now() - statSync(file).mtimeMs < CLAIM_MS) return false;
    const now = new Date();
    utimesSync(file, now, now);
    return true;
  } catch {
    return true;
  }
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
