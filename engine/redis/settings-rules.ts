/**
 * What must be set how on data nodes and Sentinels, why, and the command that mends it. Pure. An
 * error is what may lose or sell twice what was acknowledged, or cannot work at all; a warning is
 * what costs time, memory or money.
 */
import type { Finding } from '../runtime/finding.ts';
import { type Address, showAddress } from '../runtime/redis-url.ts';
import { SCHEMA_VERSION } from './keys.ts';
import type { NodeFacts, RedisFacts, SentinelFacts } from './settings-facts.ts';

export const REDIS_VERSION_MIN = 7;
/** Seconds for which a primary that lost its replicas may still take writes, which are then lost. */
const MAX_LAG_S_MAX = 10;
const BACKLOG_BYTES_MIN = 16 * 1024 * 1024;
const REWRITE_BYTES_MIN = 512 * 1024 * 1024;
/** Twice what Redis lets pass between two pings. */
const REPL_TIMEOUT_S_MIN = 20;
/** The whole outage should stay below 5 s, and the election and the recovery need their part. */
const DOWN_AFTER_MS_MAX = 3_000;
/** Below this a busy machine is taken for a dead one. */
const DOWN_AFTER_MS_MIN = 300;

type Problem = Omit<Finding, 'where'>;

export function judgeRedis(facts: RedisFacts): Finding[] {
  const hasReplicas =
    facts.kind === 'sentinel' || facts.primary.replicas > 0 || facts.replicas.length > 0;
  return [
    ...judgePrimary(facts),
    ...[facts.primary, ...facts.replicas].flatMap((node) => judgeNode(node, hasReplicas)),
    ...judgeLane(facts),
    ...facts.sentinels.flatMap(judgeSentinel),
    ...(facts.kind === 'sentinel' ? judgeGroup(facts) : []),
    ...facts.silent.map(judgeSilence),
  ];
}

const at = (kind: string, address: Address) => (problem: Problem) => ({
  where: `${kind} ${showAddress(address)}`,
  ...problem,
});

function setCommand({ host, port }: Address, name: string, value: string): string {
  return `redis-cli -h ${host} -p ${port} CONFIG SET ${name} ${value}   (and the same in its configuration)`;
}

function judgePrimary({ primary }: RedisFacts): Finding[] {
  if (primary.role === 'master') return [];
  return [
    at(
      'Redis',
      primary.address,
    )({
      severity: 'error',
      what: 'is a replica',
      why: 'a replica takes no reservations',
      mend: 'name its primary in REDIS_URL, or the Sentinels: redis+sentinel://host:port,.../name',
    }),
  ];
}

function judgeNode(node: NodeFacts, hasReplicas: boolean): Finding[] {
  const { address, settings, version } = node;
  const problems: Problem[] = [];
  if (Number.parseInt(version, 10) < REDIS_VERSION_MIN) {
    problems.push({
      severity: 'error',
      what: `is version ${version}; ${REDIS_VERSION_MIN}.0 or newer is needed`,
      why: 'scripts declare flags that older ones do not know, so settlements would fail without memory',
      mend: `install Redis ${REDIS_VERSION_MIN}.0 or newer`,
    });
  }
  if (node.isCluster) {
    problems.push({
      severity: 'error',
      what: 'runs in cluster mode (cluster-enabled yes)',
      why: 'this release works on one Redis or on a Sentinel group',
      mend: 'start it with --cluster-enabled no',
    });
  }
  if (settings === undefined) {
    problems.push({
      severity: 'warning',
      what: 'does not tell its settings (CONFIG is forbidden)',
      why: 'noeviction, appendonly and the rest cannot be checked from here',
      mend: 'allow it: ACL SETUSER <user> +config|get, or check them by hand (deploy/redis)',
    });
  } else {
    problems.push(...judgeSettings(address, settings, hasReplicas));
  }
  return problems.map(at('Redis', address));
}

interface SettingRule {
  readonly name: string;
  readonly isGood: (value: string) => boolean;
  /** What it is best set to. */
  readonly value: string;
  readonly why: string;
  /** On a node that stands alone, and on those of a group. */
  readonly alone: Finding['severity'] | 'free';
  readonly inGroup: Finding['severity'];
}

const is = (wanted: string) => (value: string) => value === wanted;
const atLeast = (least: number) => (value: string) => Number(value) >= least;

const SETTING_RULES: readonly SettingRule[] = [
  {
    name: 'maxmemory-policy',
    isGood: is('noeviction'),
    value: 'noeviction',
    why: 'a record that is evicted is a reservation forgotten',
    alone: 'error',
    inGroup: 'error',
  },
  {
    name: 'appendonly',
    isGood: is('yes'),
    value: 'yes',
    why: 'a Redis that starts again empty must be filled from PostgreSQL, and holds that had not got there are lost',
    alone: 'error',
    inGroup: 'error',
  },
  {
    name: 'repl-backlog-ttl',
    isGood: is('0'),
    value: '0',
    why: 'else the replication id, which the fence compares, changes an hour after the last replica left, in mid-sale',
    alone: 'warning',
    inGroup: 'error',
  },
  {
    name: 'auto-aof-rewrite-min-size',
    isGood: atLeast(REWRITE_BYTES_MIN),
    value: '512mb',
    why: 'the append-only file is written anew every ten seconds or so of a sale, and reservations wait for it',
    alone: 'warning',
    inGroup: 'warning',
  },
  {
    name: 'hash-max-listpack-value',
    isGood: atLeast(512),
    value: '512',
    why: 'records that leave the packed form take a multiple of the memory',
    alone: 'warning',
    inGroup: 'warning',
  },
  {
    name: 'hash-max-listpack-entries',
    isGood: atLeast(128),
    value: '128',
    why: 'buckets that leave the packed form take a multiple of the memory',
    alone: 'warning',
    inGroup: 'warning',
  },
  {
    name: 'min-replicas-to-write',
    isGood: atLeast(1),
    value: '1',
    why: 'a primary that was cut off from its replicas goes on taking writes, and they are lost when Sentinel has promoted another',
    alone: 'free',
    inGroup: 'error',
  },
  {
    name: 'min-replicas-max-lag',
    isGood: (value) => Number(value) > 0 && Number(value) <= MAX_LAG_S_MAX,
    value: '2',
    why: 'for so many seconds a primary that was cut off takes writes that will be lost; 0 turns the rule off. `replicated` waits 2 s for a replica that is silent, whatever is set here',
    alone: 'free',
    inGroup: 'error',
  },
  {
    name: 'repl-backlog-size',
    isGood: atLeast(BACKLOG_BYTES_MIN),
    value: '64mb',
    why: 'a replica that was away for some seconds of a sale must copy everything, and until then it cannot be promoted',
    alone: 'free',
    inGroup: 'warning',
  },
  {
    name: 'repl-timeout',
    isGood: atLeast(REPL_TIMEOUT_S_MIN),
    value: '60',
    why: 'replicas that are merely slow, or have nothing to copy, are cut off; and `replicated` does not wait for one that is away',
    alone: 'free',
    inGroup: 'warning',
  },
];

function judgeSettings(
  address: Address,
  settings: ReadonlyMap<string, string>,
  hasReplicas: boolean,
): Problem[] {
  return SETTING_RULES.flatMap(({ name, isGood, value, why, alone, inGroup }) => {
    const severity = hasReplicas ? inGroup : alone;
    const found = settings.get(name);
    if (severity === 'free' || found === undefined || isGood(found)) return [];
    const what = `${name} is ${found || 'empty'}; it should be ${value}`;
    return [{ severity, what, why, mend: setCommand(address, name, value) }];
  });
}

function judgeLane({ lane, primary }: RedisFacts): Finding[] {
  const problems: Problem[] = [];
  if (lane.schema !== undefined && lane.schema !== String(SCHEMA_VERSION)) {
    problems.push({
      severity: 'error',
      what: `holds a lane of version ${lane.schema}; this release works on version ${SCHEMA_VERSION}`,
      why: 'its records would be read as something else',
      mend: 'run the release that wrote it, or name another Redis in REDIS_URL: recovery fills an empty one from PostgreSQL',
    });
  }
  if (lane.hasMoreLanes) {
    problems.push({
      severity: 'error',
      what: 'holds more lanes than this release runs',
      why: 'what stands in the others would not be seen, and could be sold a second time',
      mend: 'run the release that made them, or name another Redis in REDIS_URL',
    });
  }
  return problems.map(at('Redis', primary.address));
}

function judgeSentinel({ address, quorum, downAfterMs, sentinels }: SentinelFacts): Finding[] {
  const { host, port } = address;
  const command = (name: string, value: number): string =>
    `redis-cli -h ${host} -p ${port} SENTINEL SET <master> ${name} ${value}`;
  const problems: Problem[] = [];
  const majority = Math.floor(sentinels / 2) + 1;
  if (quorum > sentinels) {
    problems.push({
      severity: 'error',
      what: `wants ${quorum} of ${sentinels} Sentinels to agree`,
      why: 'so many can never agree that the primary is down: there is no failover',
      mend: command('quorum', majority),
    });
  } else if (quorum < majority) {
    problems.push({
      severity: 'warning',
      what: `lets ${quorum} of ${sentinels} Sentinels begin a failover; ${majority} are a majority`,
      why: 'one that is cut off alone begins failovers which cannot end',
      mend: command('quorum', majority),
    });
  }
  if (downAfterMs > DOWN_AFTER_MS_MAX) {
    problems.push({
      severity: 'warning',
      what: `waits ${downAfterMs} ms before it takes the primary for down (down-after-milliseconds)`,
      why: 'nothing is sold meanwhile',
      mend: command('down-after-milliseconds', 1_000),
    });
  }
  if (downAfterMs < DOWN_AFTER_MS_MIN) {
    problems.push({
      severity: 'warning',
      what: `waits only ${downAfterMs} ms before it takes the primary for down (down-after-milliseconds)`,
      why: 'a primary that is merely busy is failed over',
      mend: command('down-after-milliseconds', 1_000),
    });
  }
  return problems.map(at('Sentinel', address));
}

/** One Sentinel beside each data node, and none elsewhere: who has a majority has the data. */
function judgeGroup({ primary, replicas, sentinels, silent }: RedisFacts): Finding[] {
  const problems: Problem[] = [];
  const known = Math.max(0, ...sentinels.map((each) => each.sentinels));
  const promotable = new Map(
    sentinels.flatMap((each) =>
      each.replicas.map((replica) => [showAddress(replica.address), replica] as const),
    ),
  );
  const data = promotable.size + 1;
  if (known > 0 && known < 3) {
    problems.push({
      severity: 'error',
      what: `has ${known} Sentinel${known === 1 ? '' : 's'}`,
      why: 'a majority must be left when one is lost: that takes three',
      mend: 'start one beside each data node (deploy/redis/start-sentinel.sh)',
    });
  } else if (known !== data) {
    problems.push({
      severity: 'warning',
      what: `has ${known} Sentinels for ${data} data nodes`,
      why: 'with one Sentinel beside each data node a majority of Sentinels has a majority of the data; else what is `replicated` may be lost',
      mend: 'run one Sentinel beside each data node and none elsewhere; after one left: SENTINEL RESET <master>',
    });
  }
  if (promotable.size === 0 && sentinels.length > 0) {
    problems.push({
      severity: 'error',
      what: 'has no replica',
      why: 'nobody can take over when the primary is lost',
      mend: `start another Redis with --replicaof ${primary.address.host} ${primary.address.port}`,
    });
  }
  if (promotable.size > 0 && [...promotable.values()].every(({ priority }) => priority === 0)) {
    const [first] = replicas;
    problems.push({
      severity: 'error',
      what: 'has only replicas of replica-priority 0',
      why: 'none of them may be promoted',
      mend:
        first === undefined
          ? 'CONFIG SET replica-priority 100 on each replica'
          : setCommand(first.address, 'replica-priority', '100'),
    });
  }
  if (sentinels.length === 0 && silent.length === 0) return [];
  return problems.map((problem) => ({ where: 'the Redis group', ...problem }));
}

function judgeSilence(who: string): Finding {
  return {
    severity: 'warning',
    where: who.slice(0, who.indexOf(': ')),
    what: `does not answer${who.slice(who.indexOf(': '))}`,
    why: 'it could not be checked, and does not help in a failover',
    mend: 'start it, then: holdfast check',
  };
}
