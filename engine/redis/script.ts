/**
 * Runs the generated scripts by content (EVALSHA). A node that does not know one yet answers
 * NOSCRIPT, before anything ran: then the source is sent, once, and the node knows it.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { SCRIPTS, type ScriptName } from '../../lua/generated/scripts.ts';

export type RunScript = (
  name: ScriptName,
  key: string,
  args: readonly (string | Buffer | number)[],
) => Promise<unknown>;

const DIGESTS: ReadonlyMap<ScriptName, string> = new Map(
  Object.entries(SCRIPTS).map(([name, { source }]) => [
    name as ScriptName,
    createHash('sha1').update(source).digest('hex'),
  ]),
);

export function scriptDigest(name: ScriptName): string {
  return DIGESTS.get(name) ?? '';
}

/** The node does not know the script; nothing ran. */
export function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/** Replies are Buffers, numbers and arrays of them. */
export function scriptRunner(redis: Redis): RunScript {
  return async (name, key, args) => {
    try {
      return await redis.callBuffer('EVALSHA', scriptDigest(name), 1, key, ...args);
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return await redis.callBuffer('EVAL', SCRIPTS[name].source, 1, key, ...args);
    }
  };
}
