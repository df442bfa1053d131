/** Whether a test's Redis group has come to rest: links up, Sentinels of one mind, replicas in sync. */
import type { RedisAddress } from '../../deploy/local/redis.ts';
import { addressText, GROUP_NAME, type RedisGroup } from '../../deploy/local/redis-group.ts';
import { askRedis, askRole, readFields } from '../../deploy/local/sentinel.ts';
import type { TestRedisNode } from './redis-node.ts';

/** What runs of the group, by its announced address. */
interface Running {
  readonly data: ReadonlyMap<string, RedisAddress>;
  readonly sentinels: ReadonlyMap<string, RedisAddress>;
}

/** Undefined when settled; else what is not, for the message of a test that waited in vain. */
export async function whatIsUnsettled(
  group: RedisGroup,
  nodes: readonly TestRedisNode[],
): Promise<string | undefined> {
  const runs = whatRuns(group, nodes);
  const views = await Promise.all(
    [...runs.sentinels.values()].map((sentinel) => viewOf(sentinel, runs)),
  );
  const unrest = views.find(({ unrest }) => unrest !== undefined)?.unrest;
  if (unrest !== undefined) return unrest;
  const named = new Set(views.map(({ primary }) => primary));
  if (named.size !== 1) return `the Sentinels name ${[...named].join(' and ') || 'nobody'}`;
  return await replicationUnrest([...named].join(), runs);
}

function whatRuns(group: RedisGroup, nodes: readonly TestRedisNode[]): Running {
  const data = new Map<string, RedisAddress>();
  const sentinels = new Map<string, RedisAddress>();
  for (const [index, { announced, ...own }] of group.members.entries()) {
    const node = nodes[index];
    if (node?.isRunning === true) data.set(addressText(announced.data), own.data);
    if (node?.isSentinelRunning === true) {
      sentinels.set(addressText(announced.sentinel), own.sentinel);
    }
  }
  return { data, sentinels };
}

/** What one Sentinel sees; the flags are words like `s_down`, and none but the kind when all is well. */
async function viewOf(
  sentinel: RedisAddress,
  runs: Running,
): Promise<{ readonly primary: string; readonly unrest: string | undefined }> {
  const ask = (what: string) => askRedis(sentinel, 'SENTINEL', what, GROUP_NAME);
  const [master, replicas, others, info] = await Promise.all([
    ask('master'),
    ask('replicas'),
    ask('sentinels'),
    askRedis(sentinel, 'INFO', 'sentinel'),
  ]);
  const view = readFields(master);
  const primary = instanceAddress(view);
  const unwell = (kind: string, reply: unknown, wanted: ReadonlyMap<string, unknown>) => {
    const seen = new Map(readInstances(reply).map((one) => [instanceAddress(one), one]));
    return [...wanted.keys()]
      .filter((address) => address !== primary && address !== ownAddress(sentinel, runs))
      .filter((address) => seen.get(address)?.get('flags') !== kind)
      .map((address) => `${address} as ${seen.get(address)?.get('flags') ?? 'unknown'}`);
  };
  const problems = [
    // Its own clock or its disk stood still for two seconds, so for 30 it does nothing.
    ...(String(info).includes('sentinel_tilt:1') ? ['its own clock jump (tilt)'] : []),
    ...(view.get('flags') === 'master' ? [] : [`its primary ${primary} as ${view.get('flags')}`]),
    ...unwell('slave', replicas, runs.data),
    ...unwell('sentinel', others, runs.sentinels),
  ];
  const unrest = problems.length === 0 ? undefined : problems.join(', ');
  return {
    primary,
    unrest: unrest === undefined ? unrest : `Sentinel ${addressText(sentinel)} sees ${unrest}`,
  };
}

/** Every replica that runs follows this primary and has all that it had a moment ago. */
async function replicationUnrest(primary: string, runs: Running): Promise<string | undefined> {
  const address = runs.data.get(primary);
  const role = address === undefined ? undefined : await askRole(address);
  if (role?.kind !== 'primary') return `${primary} is no primary yet`;
  for (const [name, replica] of runs.data) {
    if (name === primary) continue;
    const found = await askRole(replica);
    const isInSync =
      found?.kind === 'replica' &&
      found.primary === primary &&
      found.link === 'connected' &&
      found.offset >= role.offset;
    if (!isInSync) return `${name} is not in sync with ${primary}: ${JSON.stringify(found)}`;
  }
  return undefined;
}

function ownAddress(sentinel: RedisAddress, runs: Running): string | undefined {
  return [...runs.sentinels].find(([, own]) => own === sentinel)?.[0];
}

function instanceAddress(fields: ReadonlyMap<string, string>): string {
  return `${fields.get('ip')}:${fields.get('port')}`;
}

function readInstances(reply: unknown): Array<ReadonlyMap<string, string>> {
  return Array.isArray(reply) ? reply.map(readFields) : [];
}
