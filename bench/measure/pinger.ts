/** Runs ping-process.ts beside a load. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Redis } from 'ioredis';
import { packageRoot } from '../../deploy/local/paths.ts';
import type { PingResult } from './ping-process.ts';

export interface Pinger {
  /** Ends it, and gives what it saw. */
  stop(): Promise<PingResult>;
  /** Ends it, whatever it does. */
  kill(): void;
}

/** Resolves when it pings. `redisUrl`: of one node, on this machine. */
export async function startPinger(redis: Redis, redisUrl: string): Promise<Pinger> {
  const [, pid = ''] = /^process_id:(\d+)/m.exec(await redis.info('server')) ?? [];
  const { hostname, port } = new URL(redisUrl);
  const main = join(packageRoot(), 'dist/bench/measure/ping-process.js');
  const child = spawn(process.execPath, [main, hostname, port, pid], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const lines = linesOf(child);
  await lines.next();
  return {
    kill,
    async stop() {
      child.stdin?.end();
      return JSON.parse(await lines.next()) as PingResult;
    },
  };
}

function linesOf(child: ChildProcess): { next(): Promise<string> } {
  if (child.stdout === null) throw new Error('the pinger has no stdout');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async next() {
      const line = await lines.next();
      if (line.done === true) throw new Error('the pinger ended by itself');
      return line.value;
    },
  };
}
