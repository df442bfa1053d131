/**
 * What the demo drives: a fresh local stack, and the whole engine in one process of its own beside it, so that
 * the load and the engine do not share an event loop.
 *
 * The directory is the demo's: it is wiped at each start, so that nothing of an earlier demo is counted. A marker
 * file says so; a directory without it is never wiped.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogChoice, Stack, StackOptions } from '../../deploy/local/stack.ts';
import { stopStack } from '../../deploy/local/stack-status.ts';
import { startStackWithProgress } from '../../engine/cli/stack-progress.ts';
import { LOG_TOPIC } from '../../engine/log/event-log.ts';
import { type EngineProcess, startEngineProcess, stopLeftEngine } from './engine-process.ts';
import { ensureFresh } from './freshness.ts';

export interface DemoSystem {
  readonly stack: Stack;
  readonly logTopic: string;
  readonly engine: EngineProcess;
  readonly durationsMs: { readonly servers: number; readonly engine: number };
  stop(): Promise<void>;
}

/** What the stack is to consist of. */
export interface StackWish extends Pick<StackOptions, 'sentinel' | 'replicas'> {
  readonly log: LogChoice;
}

export interface DemoSystemOptions extends StackWish {
  readonly directory: string;
  readonly port: number;
}

const MARKER = 'holdfast-demo';

export async function startDemoSystem(options: DemoSystemOptions): Promise<DemoSystem> {
  const { directory, port, log, sentinel = false, replicas } = options;
  const startMs = performance.now();
  await wipe(directory);
  const topology = { sentinel, ...(replicas !== undefined && { replicas }) };
  const stack = await startStackWithProgress({ directory, log, ...topology });
  try {
    await ensureFresh(stack);
    const logTopic = topicOn(stack);
    const stackMs = performance.now();
    process.stderr.write('Engine: starting ...\n');
    const engine = await startEngineProcess({
      port,
      log: stack.log,
      // An empty variable says that there is no Kafka, whatever this process was started with.
      env: { ...process.env, KAFKA_BROKERS: '', ...stack.env, HOLDFAST_LOG_TOPIC: logTopic },
      directory,
    });
    process.stderr.write(`Engine: ${engine.url} (process ${engine.pid})\n`);
    return {
      stack,
      logTopic,
      engine,
      durationsMs: { servers: stackMs - startMs, engine: performance.now() - stackMs },
      stop: async () => {
        await engine.stop();
        await stack.stop();
      },
    };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/** A given Kafka may hold the log of something else, which is none of ours. */
function topicOn({ servers }: Stack): string {
  const kafka = servers.find(({ name }) => name === 'kafka');
  return kafka?.source === 'environment' ? `hf.demo-${Date.now().toString(36)}` : LOG_TOPIC;
}

/** Stops what an earlier demo left running there, and deletes what it wrote. */
async function wipe(directory: string): Promise<void> {
  const isOurs = existsSync(join(directory, MARKER));
  if (!isOurs && existsSync(directory) && readdirSync(directory).length > 0) {
    throw new Error(
      `${directory} is not the demo's (it has no file "${MARKER}"), and the demo would delete all in it: ` +
        'name another directory with --dir',
    );
  }
  const { inUse } = await stopStack(directory);
  const [used] = inUse;
  if (used !== undefined) {
    throw new Error(
      `another demo runs in ${directory} (process ${used.ownerPid}): ` +
        'end it first, or name another directory with --dir',
    );
  }
  await stopLeftEngine(directory);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, MARKER), 'Wiped at the start of each demo.\n');
}
