/**
 * The Redis group of a stack's directory. Its addresses are chosen once and kept in a file, because
 * the Sentinels keep them too, in their own files, together with who is primary.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearLeftover, stateOf } from './managed-server.ts';
import type { RedisAddress } from './redis.ts';
import { type GroupMember, placeMembers, type RedisGroup } from './redis-group.ts';
import { type StackServer, serversOf, stackStore } from './stack-servers.ts';

export type ReplicaCount = 2 | 3;

export const REPLICAS_DEFAULT: ReplicaCount = 2;

/** Shorter finds a dead primary sooner, and takes a laptop that is busy for a dead primary. */
const DOWN_AFTER_MS = 1_500;
const FAILOVER_TIMEOUT_MS = 6_000;
const FILE = 'redis-group.json';

/** What is asked for does not go with what is in the directory: a person has to decide. */
export class TopologyError extends Error {
  override readonly name = 'TopologyError';
}

/** The group of this directory; made when there is none yet. */
async function openGroup(
  directory: string,
  replicas: ReplicaCount | undefined,
): Promise<RedisGroup> {
  const found = readGroup(directory);
  if (found === undefined) {
    const members = await placeMembers((replicas ?? REPLICAS_DEFAULT) + 1);
    const places = members.map(({ data, sentinel }) => ({ data, sentinel }));
    const path = join(directory, FILE);
    writeFileSync(`${path}.new`, `${JSON.stringify({ members: places }, null, 2)}\n`);
    renameSync(`${path}.new`, path);
    return groupOf(members);
  }
  const count = found.members.length - 1;
  if (replicas !== undefined && replicas !== count) {
    throw new TopologyError(
      `the Redis group in ${directory} has ${count} replicas: say --replicas ${count}, or take another directory with --dir`,
    );
  }
  return found;
}

/** The group of this directory if there is one, running or not. */
function readGroup(directory: string): RedisGroup | undefined {
  const path = join(directory, FILE);
  if (!existsSync(path)) return undefined;
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const places = isObject(parsed) && Array.isArray(parsed.members) ? parsed.members : [];
  const members = places.flatMap(readMember);
  if (members.length < 3 || members.length !== places.length) {
    throw new Error(
      `${path} does not say where the members of a Redis group listen: delete ${directory} to start anew, or put the file back`,
    );
  }
  return groupOf(members);
}

/** The group, when any process of it is there: it is what runs in this directory then. */
export function presentGroup(directory: string): RedisGroup | undefined {
  const group = readGroup(directory);
  const isThere = group !== undefined && groupServers(directory, group).some(isPresent);
  return isThere ? group : undefined;
}

/**
 * Which topology a start is about: undefined stands for one server of each. One that was left
 * running in the directory goes on; leftovers of the other one are stopped, so that no two Redis
 * take themselves for the same shop's.
 */
export async function chooseGroup(
  directory: string,
  isWanted: boolean,
  replicas: ReplicaCount | undefined,
): Promise<RedisGroup | undefined> {
  const found = readGroup(directory);
  const grouped = found === undefined ? [] : groupServers(directory, found);
  const single = serversOf(stackStore('redis', directory, {}, undefined));
  if (isWanted || replicas !== undefined || grouped.some((one) => stateOf(one) === 'running')) {
    if (single.some((one) => stateOf(one) === 'running')) {
      throw new TopologyError(
        `a single Redis runs in ${directory}: stop it first (holdfast stack down, or the end of holdfast dev), or take another directory with --dir`,
      );
    }
    await Promise.all(single.map(clearLeftover));
    return await openGroup(directory, replicas);
  }
  await Promise.all(grouped.map(clearLeftover));
  return undefined;
}

/** The Redis group, and what follows PostgreSQL's primary. */
function groupServers(directory: string, group: RedisGroup): StackServer[] {
  const [, ...followers] = serversOf(stackStore('postgres', directory, {}, group));
  return [...serversOf(stackStore('redis', directory, {}, group)), ...followers];
}

function isPresent(server: StackServer): boolean {
  return stateOf(server) !== 'stopped';
}

function groupOf(members: readonly GroupMember[]): RedisGroup {
  return { members, downAfterMs: DOWN_AFTER_MS, failoverTimeoutMs: FAILOVER_TIMEOUT_MS };
}

function readMember(value: unknown): GroupMember[] {
  if (!isObject(value) || !isAddress(value.data) || !isAddress(value.sentinel)) return [];
  const { data, sentinel } = value;
  return [{ data, sentinel, announced: { data, sentinel } }];
}

function isAddress(value: unknown): value is RedisAddress {
  return isObject(value) && typeof value.host === 'string' && typeof value.port === 'number';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
