/** States of a lane that only faults make, made by hand on a real Redis. */
import { waitFor } from '../../deploy/local/deadline.ts';
import { dumpRedis } from './dump.ts';
import { KEYS, type Stack } from './stack.ts';

const RECONNECT_TIMEOUT_MS = 10_000;
const META_OF_ENTRY = ['seq', 'nonce', 'time'] as const;

/**
 * As if the script of `act` had died between its cells and its records: its entry is in the stream
 * and its cells are written, records and meta are as they were before.
 */
export async function dieHalfWay(stack: Stack, act: () => Promise<unknown>): Promise<void> {
  const { redis } = stack;
  const before = await dumpRedis(redis);
  const meta = await redis.callBuffer('HMGET', KEYS.meta, ...META_OF_ENTRY);
  await act();
  const after = await dumpRedis(redis);
  for (const place of Object.keys(after)) {
    const [name = '', field = ''] = place.split(' ');
    if (name.startsWith('stock:') || after[place] === before[place]) continue;
    const key = `${KEYS.prefix}${name}`;
    const value = before[place];
    if (value === undefined) await redis.hdel(key, Buffer.from(field, 'hex'));
    else await redis.hset(key, Buffer.from(field, 'hex'), Buffer.from(value, 'hex'));
  }
  if (!Array.isArray(meta)) throw new TypeError('HMGET answered no list');
  for (const [i, name] of META_OF_ENTRY.entries()) {
    const value: unknown = meta[i];
    if (!Buffer.isBuffer(value)) throw new TypeError(`meta has no ${name}`);
    await redis.hset(KEYS.meta, name, value);
  }
}

/** Puts an older state back, as a truncated AOF does: what was done since is lost. */
export async function loseTail(stack: Stack, act: () => Promise<unknown>): Promise<void> {
  const copy = await stack.server.copyAof();
  await act();
  await stack.server.kill();
  await stack.server.restoreAof(copy);
  await restart(stack);
}

/** Starts the server and waits for our connection. */
export async function restart(stack: Stack): Promise<void> {
  if (stack.server.isRunning) await stack.server.stop();
  await stack.server.start();
  await connected(stack);
}

/** Resolves when commands get through again. */
export async function connected(stack: Stack): Promise<void> {
  const answered = await waitFor(
    () =>
      stack.redis.ping().then(
        () => true,
        () => undefined,
      ),
    RECONNECT_TIMEOUT_MS,
  );
  if (answered === undefined) throw new Error('the connection to Redis did not come back');
}

/** As a zombie that never noticed: the node believes that it is the one that was opened. */
export async function believeOpen(stack: Stack): Promise<void> {
  const replid = /master_replid:(\w+)/.exec(await stack.redis.info('replication'))?.[1];
  if (replid === undefined) throw new Error('INFO replication names no replid');
  await stack.redis.hset(KEYS.meta, 'replid', replid, 'state', 'open');
}
