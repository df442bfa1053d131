/** Starts a peer in another process, so that its CPU is its own. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import type { StoreUrls } from './peer.ts';

export interface PeerStart extends StoreUrls {
  readonly name: string;
  /** To put on sale, by SKU. */
  readonly units: Readonly<Record<string, number>>;
}

export interface PeerProcess {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** Medusa runs its migrations first. */
const READY_MS_MAX = 60_000;
const ERRORS_MAX = 4_000;

export function readPeerStart(text: string | undefined): PeerStart {
  if (text === undefined) throw new Error('usage: serve-peer START, a PeerStart as JSON');
  return JSON.parse(text) as PeerStart;
}

/** Resolves when it listens; rejects with what it printed when it ends before. */
export async function startPeerProcess(start: PeerStart): Promise<PeerProcess> {
  const main = join(packageRoot(), 'dist/bench/peers/serve-peer.js');
  const child = fork(main, [JSON.stringify(start)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + String(chunk)).slice(-ERRORS_MAX);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const timer = setTimeout(() => void stop(), READY_MS_MAX);
  try {
    const address = await new Promise<unknown>((resolve, reject) => {
      child.once('message', resolve);
      void ended.then(() => reject(new Error(`${start.name} ended before it served:\n${errors}`)));
    });
    return { ...(address as Omit<PeerProcess, 'pid' | 'stop'>), pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
