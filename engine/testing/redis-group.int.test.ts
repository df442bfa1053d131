import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../deploy/local/deadline.ts';
import { addressText, GROUP_NAME } from '../../deploy/local/redis-group.ts';
import { askRedis, askRole } from '../../deploy/local/sentinel.ts';
import { type Address, parseRedisUrl } from '../runtime/redis-url.ts';
import {
  type GroupFront,
  hasGroups,
  type RedisGroupOptions,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from './redis-group.ts';

const PROMOTION_TIMEOUT_MS = 100_000;
/** Longer than busy cores keep a node silent. */
const PATIENCE_MS = 60_000;
const isHere = hasGroups();

const cleanups: Array<() => Promise<unknown>> = [];
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())));

async function startGroup(options: RedisGroupOptions = {}): Promise<TestRedisGroup> {
  const group = await startRedisGroup(options);
  cleanups.push(() => group.stop());
  return group;
}

/** One command to a data node itself. */
async function ask(node: TestRedisNode, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(node.url, { maxRetriesPerRequest: 0 });
  client.on('error', () => undefined);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

/** Proxies that pass everything on, and remember who called. */
async function openFronts() {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const callers = new Set<string>();
  const known = { data: [] as string[], sentinel: [] as string[] };
  const front: GroupFront = async ({ node, kind, host, port }) => {
    const server = createServer((caller) => {
      callers.add(caller.remoteAddress ?? '');
      const callee = connect({ host, port });
      for (const [from, to] of [
        [caller, callee],
        [callee, caller],
      ] as const) {
        sockets.add(from);
        from.on('error', () => to.destroy()).once('close', () => to.destroy());
        from.pipe(to);
      }
    });
    servers.push(server);
    await once(server.listen(0, host), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    known[kind][node] = `${host}:${address.port}`;
    return { host, port: address.port };
  };
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all(servers.map((server) => once(server.close(), 'close')));
  };
  return { front, callers, addresses: (kind: 'data' | 'sentinel') => known[kind], close };
}

/**
 * The primary that took the place of the old one. It keeps it: the Sentinels are patient from then on,
 * so that on busy cores no second failover puts the old one in its place again.
 */
async function newPrimary(group: TestRedisGroup, old: TestRedisNode): Promise<TestRedisNode> {
  const found = await waitFor(async () => {
    const primary = await group.primary();
    return primary !== old && (await askRole(primary))?.kind === 'primary' ? primary : undefined;
  }, PROMOTION_TIMEOUT_MS);
  if (found === undefined) throw new Error('nobody was promoted');
  for (const sentinel of sentinelsOf(group)) {
    const setting = ['down-after-milliseconds', `${PATIENCE_MS}`] as const;
    await askRedis(sentinel, 'SENTINEL', 'SET', GROUP_NAME, ...setting);
  }
  return found;
}

function sentinelsOf(group: TestRedisGroup): readonly Address[] {
  const target = parseRedisUrl(group.url);
  return target.kind === 'sentinel' ? target.sentinels : [];
}

describe.runIf(isHere).concurrent('startRedisGroup', () => {
  it.each([2, 3] as const)('is a primary and %d replicas in sync', async (replicas) => {
    const group = await startGroup({ replicas });
    expect(group.nodes).toHaveLength(replicas + 1);
    expect(new Set(group.nodes.map(({ host }) => host)).size).toBe(replicas + 1);
    const primary = await group.primary();
    expect(primary).toBe(group.nodes[0]);
    expect(await ask(primary, 'SET', 'key', 'value')).toBe('OK');
    await group.settled();
    const found = await Promise.all(group.nodes.map((node) => ask(node, 'GET', 'key')));
    expect(found).toEqual(Array(replicas + 1).fill('value'));
    expect(await ask(primary, 'CONFIG', 'GET', 'min-replicas-to-write')).toEqual([
      'min-replicas-to-write',
      '1',
    ]);
    expect(group.url).toMatch(/^redis\+sentinel:\/\/127\.[\d.:]+(,127\.[\d.:]+){2,3}\/holdfast$/);
  });

  it('promotes a replica after SIGKILL, and the old primary comes back as a replica', async () => {
    const group = await startGroup();
    const old = await group.primary();
    await ask(old, 'SET', 'before', '1');
    await group.settled();
    await old.kill();
    expect(old.isRunning).toBe(false);
    const promoted = await newPrimary(group, old);
    await old.restart();
    await group.settled();
    expect(await askRole(old)).toMatchObject({ kind: 'replica' });
    await ask(promoted, 'SET', 'after', '1');
    await group.settled();
    expect(await ask(old, 'MGET', 'before', 'after')).toEqual(['1', '1']);
  });

  it('promotes a replica while the primary hangs, which is a replica after it woke', async () => {
    const group = await startGroup();
    const old = await group.primary();
    old.pause();
    const promoted = await newPrimary(group, old);
    old.resume();
    await group.settled();
    expect(await askRole(old)).toMatchObject({ kind: 'replica' });
    expect(await group.primary()).toBe(promoted);
  });

  it('is known by its fronts alone, and each node calls from its own address', async () => {
    const fronts = await openFronts();
    cleanups.push(fronts.close);
    const group = await startGroup({ front: fronts.front });
    const old = await group.primary();
    expect(sentinelsOf(group).map(addressText)).toEqual(fronts.addresses('sentinel'));
    await old.kill('SIGKILL', 'both');
    const promoted = await newPrimary(group, old);
    await old.restart();
    await group.settled();
    expect(await askRole(old)).toMatchObject({ kind: 'replica' });
    const primary = fronts.addresses('data')[promoted.index];
    expect(await askRole(old)).toMatchObject({ kind: 'replica', primary });
    for (const { host: address } of group.nodes) expect(fronts.callers).toContain(address);
  });

  it('goes on without one node, Sentinel and all', async () => {
    const group = await startGroup();
    const old = await group.primary();
    await old.kill('SIGKILL', 'both');
    expect(old.isSentinelRunning).toBe(false);
    const promoted = await newPrimary(group, old);
    await group.settled();
    expect(await ask(promoted, 'SET', 'key', 'value')).toBe('OK');
    await old.restart();
    await group.settled();
    expect(await ask(old, 'GET', 'key')).toBe('value');
  });
});
