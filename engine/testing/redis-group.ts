/**
 * A Redis group of one test: a primary with two or three replicas, and a Sentinel beside each, all
 * real processes that the test may kill, hang and start again. Each node, and its Sentinel with it,
 * has a loopback address of its own, which also its outgoing connections carry: so a proxy can tell
 * the nodes apart and cut them off from each other. That needs all of 127.0.0.0/8, which only
 * Linux has without being asked.
 */
import { join } from 'node:path';
import { waitFor } from '../../deploy/local/deadline.ts';
import type { RedisAddress } from '../../deploy/local/redis.ts';
import {
  addressText,
  GROUP_NAME,
  type GroupMember,
  groupUrl,
  placeMembers,
  type RedisGroup,
} from '../../deploy/local/redis-group.ts';
import { primaryByMajority } from '../../deploy/local/sentinel.ts';
import { AOF_COPY_ARGS } from './aof.ts';
import { startMember, type TestRedisNode } from './redis-node.ts';
import { whatIsUnsettled } from './settled.ts';
import { currentTestRun, serverDirectory } from './test-run.ts';

export type { TestRedisNode };

/** Puts a proxy before a node: what it returns is announced instead of the node's own address. */
export type GroupFront = (owner: {
  readonly node: number;
  readonly kind: 'data' | 'sentinel';
  readonly host: string;
  readonly port: number;
}) => Promise<RedisAddress>;

export interface RedisGroupOptions {
  readonly replicas?: 2 | 3;
  /** When a Sentinel takes a silent node for down. */
  readonly downAfterMs?: number;
  /** A failover that failed is tried again after twice this time. */
  readonly failoverTimeoutMs?: number;
  /** Further settings of the data nodes. */
  readonly args?: readonly string[];
  readonly front?: GroupFront;
}

export interface TestRedisGroup {
  /** redis+sentinel://... */
  readonly url: string;
  /** The group's name at the Sentinels. */
  readonly master: string;
  readonly nodes: readonly TestRedisNode[];
  /** Whom a majority of all Sentinels names; waits until there is such a majority. */
  primary(): Promise<TestRedisNode>;
  /** Waits until whatever runs agrees on the primary, every replica of it in sync. */
  settled(): Promise<void>;
  /** What keeps it from being settled, for messages; undefined when nothing does. */
  obstacle(): Promise<string | undefined>;
  /** Ends everything; the data is thrown away. */
  stop(): Promise<void>;
}

const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 3_000;
/** Failovers are tried again and again where the cores are shared by many. */
const SETTLE_TIMEOUT_MS = 100_000;

export async function startRedisGroup(options: RedisGroupOptions = {}): Promise<TestRedisGroup> {
  if (process.platform !== 'linux') throw new Error(whyNotHere(process.platform));
  const run = currentTestRun();
  const directory = serverDirectory(run, 'redis-group');
  const group = await planGroup(options);
  const args = [...AOF_COPY_ARGS, '--enable-debug-command', 'yes', ...(options.args ?? [])];
  const nodes = await Promise.all(
    group.members.map((_, index) =>
      startMember({ group, index, directory: join(directory, `${index}`), args, owner: run.owner }),
    ),
  );
  const sentinels = group.members.map((member) => member.sentinel);
  const obstacle = () => whatIsUnsettled(group, nodes);
  const result: TestRedisGroup = {
    url: groupUrl(group),
    master: GROUP_NAME,
    nodes,
    primary: async () => {
      const address = await waitFor(() => primaryByMajority(sentinels), SETTLE_TIMEOUT_MS);
      const isNamed = (member: GroupMember) => addressText(member.announced.data) === address;
      const node = nodes[group.members.findIndex(isNamed)];
      if (node !== undefined) return node;
      throw new Error(
        `no majority of the Sentinels named a primary of the group (they say ${address})`,
      );
    },
    settled: async () => {
      let found: string | undefined;
      const isSettled = await waitFor(async () => {
        found = await obstacle();
        return found === undefined ? true : undefined;
      }, SETTLE_TIMEOUT_MS);
      if (isSettled === undefined) {
        throw new Error(`the group did not settle in ${SETTLE_TIMEOUT_MS / 1000} s: ${found}`);
      }
    },
    obstacle,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.kill('SIGKILL', 'both')));
    },
  };
  await result.settled();
  return result;
}

async function planGroup(options: RedisGroupOptions): Promise<RedisGroup> {
  const { front } = options;
  const members = await placeMembers((options.replicas ?? 2) + 1);
  const announce = async (member: GroupMember, node: number): Promise<GroupMember> => {
    if (front === undefined) return member;
    const data = await front({ node, kind: 'data', ...member.data });
    const sentinel = await front({ node, kind: 'sentinel', ...member.sentinel });
    return { ...member, announced: { data, sentinel } };
  };
  return {
    members: await Promise.all(members.map(announce)),
    downAfterMs: options.downAfterMs ?? DOWN_AFTER_MS,
    failoverTimeoutMs: options.failoverTimeoutMs ?? FAILOVER_TIMEOUT_MS,
  };
}

/** Where groups can run; says why not where they cannot, for the tests that are left out then. */
export function hasGroups(): boolean {
  const isHere = process.platform === 'linux';
  if (!isHere) console.info(`skipped: ${whyNotHere(process.platform)}`);
  return isHere;
}

function whyNotHere(platform: NodeJS.Platform): string {
  return `a test's Redis group needs an address of 127.0.0.0/8 for each node; ${platform} has only 127.0.0.1 unless an administrator adds more`;
}
