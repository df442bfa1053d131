/**
 * Redis nodes: replication by jumps, WAIT, promotion, restart. A promoted node has a new replication
 * id, a restarted one a new run id too; the old primary goes on in its own eyes until it is told.
 */
import { EMPTY_LANE } from './lane-model.ts';
import type { Rules } from './rules.ts';
import { at, breaks, type LaneData, put, type RedisNode, type World } from './world.ts';

export const SENTINEL_DOWN_AFTER_MS = 600;
/** A replica acknowledges so often, also when nothing is written. */
const ACK_EVERY_MS = 1_000;
/** A replica that was not heard of for longer is not in sync: it hangs, was cut off, or left. */
const IN_SYNC_MS = 2_000;

export function canHear(world: World, a: number, b: number): boolean {
  return at(world.sides, a) === at(world.sides, b);
}

export function isAlive(node: RedisNode): boolean {
  return node.up && !node.hung;
}

/** Can an engine talk to the node? Workers (relay, persister, recovery) stand on no side. */
export function reaches(world: World, side: number | undefined, node: number): boolean {
  const target = at(world.nodes, node);
  return isAlive(target) && (side === undefined || side === at(world.sides, node));
}

/** The lane's data change by a script; its replicas will hear of it. */
export function write(world: World, node: number, data: LaneData): void {
  const { offset } = at(world.nodes, node);
  put(world.nodes, node, { data, offset: offset + 1 });
}

/**
 * A replica jumps to the state of what it follows, and acknowledges; a primary answers the WAITs that
 * it may answer now. False: nothing to do.
 */
export function replicate(world: World, index: number, rules: Rules): boolean {
  const replica = at(world.nodes, index);
  if (!isAlive(replica)) return false;
  if (replica.role === 'primary') return answerWaits(world, index, rules);
  if (replica.lags) return false;
  const isTold = world.now - world.promotedAt >= (world.config.tellMs ?? 0);
  if (replica.follows !== world.primary && isTold && canHear(world, index, world.primary)) {
    leave(world, index);
    put(world.nodes, index, { follows: world.primary });
  }
  const { follows } = at(world.nodes, index);
  const source = at(world.nodes, follows);
  if (source.role !== 'primary' || !isAlive(source) || !canHear(world, index, follows))
    return false;
  const isAcked = !world.config.waits || hasAcked(world, source, index);
  const isNews = source.data !== replica.data || !isAcked;
  if (!isNews) return replica.follows !== follows;
  put(world.nodes, index, { data: source.data, offset: source.offset });
  if (!world.config.waits) return true;
  const acked = source.acked.map((offset, i) => (i === index ? source.offset : offset));
  const ackedAt = source.ackedAt.map((when, i) => (i === index ? world.now : when));
  const left = source.left.filter((i) => i !== index);
  put(world.nodes, follows, { acked, ackedAt, left });
  answerWaits(world, follows, rules);
  return true;
}

function hasAcked({ now }: World, source: RedisNode, replica: number): boolean {
  const when = source.ackedAt[replica];
  const isRecent =
    when !== undefined && now - when < ACK_EVERY_MS && !source.left.includes(replica);
  return isRecent && at(source.acked, replica) === source.offset;
}

/** The replica's connections are closed: what it acknowledged on them counts no more. */
export function leave(world: World, replica: number): void {
  if (!world.config.waits) return;
  world.nodes.forEach((node, i) => {
    if (node.ackedAt[replica] === undefined || node.left.includes(replica)) return;
    const acked = node.acked.map((offset, k) => (k === replica ? 0 : offset));
    const ackedAt = node.ackedAt.map((when, k) => (k === replica ? world.now : when));
    put(world.nodes, i, { acked, ackedAt, left: [...node.left, replica] });
  });
}

/** A node that slept sees only now who was silent, or left, meanwhile. */
export function wake(world: World, index: number, rules: Rules): void {
  put(world.nodes, index, { hung: false });
  if (!world.config.waits || !rules.on('wait_leavers')) return;
  const ackedAt = at(world.nodes, index).ackedAt.map((when) =>
    when === undefined ? undefined : world.now,
  );
  put(world.nodes, index, { ackedAt });
}

/**
 * Replicas that a primary counts as in sync. One that left may have been promoted: until those that
 * did not leave have been told so, they acknowledge what will be lost.
 */
function inSync({ ackedAt, left }: RedisNode, now: number, rules: Rules): number[] {
  return ackedAt.flatMap((when, i) => {
    const isHere = !left.includes(i) || rules.on('wait_leavers');
    return when !== undefined && now - when <= IN_SYNC_MS && isHere ? [i] : [];
  });
}

/**
 * WAIT of a node is answered when enough replicas have acknowledged its offset, and all that are in
 * sync have: whichever of them the Sentinels choose next then has it.
 */
export function answerWaits(world: World, node: number, rules: Rules): boolean {
  if (world.waits.length === 0) return false;
  const { acked } = at(world.nodes, node);
  const all = rules.on('wait_in_sync') ? inSync(at(world.nodes, node), world.now, rules).length : 0;
  const left = world.waits.filter((wait) => {
    if (wait.node !== node) return true;
    const reached = acked.filter((offset) => offset >= wait.offset).length;
    const enough = reached >= Math.max(wait.replicas, all);
    if (enough) {
      const { engine, call } = wait;
      world.messages.push({ kind: 'waited', key: `waited ${call}`, engine, node, call });
    }
    return !enough;
  });
  const isAny = left.length < world.waits.length;
  world.waits = left;
  return isAny;
}

/** Sentinel, or a careless person: the node becomes primary, the old one is not asked. */
export function promote(world: World, index: number): void {
  const node = at(world.nodes, index);
  world.lives++;
  leave(world, index);
  put(world.nodes, index, {
    role: 'primary',
    replid: `r${world.lives}`,
    follows: index,
    acked: node.acked.map(() => 0),
    ackedAt: node.acked.map(() => undefined),
    left: [],
  });
  world.primary = index;
  world.promotedAt = world.now;
}

/** A primary that is not the one of the Sentinels becomes a replica again. */
export function demote(world: World, index: number): boolean {
  const node = at(world.nodes, index);
  const isZombie = node.role === 'primary' && index !== world.primary;
  if (!isZombie || !isAlive(node) || !canHear(world, index, world.primary)) return false;
  put(world.nodes, index, { role: 'replica', follows: world.primary });
  world.waits = world.waits.filter((wait) => wait.node !== index);
  return true;
}

/** The nodes of the side on which a majority of the Sentinels stands, one beside each node. */
function majority({ nodes, sides }: World): { voters: number[]; side: number } | undefined {
  for (const side of [0, 1]) {
    const voters = nodes.flatMap((node, i) => (isAlive(node) && at(sides, i) === side ? [i] : []));
    if (voters.length > nodes.length / 2) return { voters, side };
  }
  return undefined;
}

/** One look of the Sentinels: a primary that a majority misses long enough is replaced. */
export function watch(world: World, rules: Rules): boolean {
  const { nodes, primary } = world;
  const old = at(nodes, primary);
  const side = majority(world)?.side;
  const reachable = side !== undefined && isAlive(old) && at(world.sides, primary) === side;
  if (side === undefined || reachable) {
    if (old.lostAt === undefined) return false;
    put(nodes, primary, { lostAt: undefined });
    return true;
  }
  if (old.lostAt === undefined) {
    put(nodes, primary, { lostAt: world.now });
    return true;
  }
  if (world.now - old.lostAt < SENTINEL_DOWN_AFTER_MS) return false;
  return replace(world, rules);
}

/**
 * The Sentinels choose a replica by offsets that they read at different moments, while the primary
 * may still have been writing: any of those that were in sync, not the one that heard the most.
 */
export function replace(world: World, rules: Rules): boolean {
  const { nodes, primary, config } = world;
  const old = at(nodes, primary);
  const voters = majority(world)?.voters ?? [];
  const candidates = voters.filter((i) => at(nodes, i).role === 'replica');
  const known = inSync(old, old.lostAt ?? world.now, rules);
  // Of one that was promoted a moment ago they know no offsets yet.
  const isFresh = world.now - world.promotedAt < IN_SYNC_MS && world.promotedAt > 0;
  const likely = isFresh ? [...candidates] : candidates.filter((i) => known.includes(i));
  candidates.sort((a, b) => at(nodes, b).offset - at(nodes, a).offset);
  const isAny = config.chosen !== undefined && likely.length > 0;
  const best = isAny ? likely[config.chosen % likely.length] : candidates[0];
  if (best === undefined) return false;
  put(nodes, primary, { lostAt: undefined });
  promote(world, best);
  return true;
}

/** A new process: what the disk has, a new run id, a new replication id. */
export function restart(
  world: World,
  index: number,
  as: 'replica' | 'primary',
  data: LaneData,
  rules: Rules,
): void {
  world.lives++;
  if (as === 'replica' && world.primary === index && world.config.replicatedSurvives) {
    // Where Sentinels stand, its start waits until they have chosen another.
    put(world.nodes, index, { up: false });
    replace(world, rules);
  }
  const asPrimary = as === 'primary' || world.primary === index;
  leave(world, index);
  put(world.nodes, index, {
    up: true,
    hung: false,
    role: asPrimary ? 'primary' : 'replica',
    follows: asPrimary ? index : world.primary,
    replid: `r${world.lives}`,
    runid: `p${world.lives}`,
    data,
    offset: 0,
    acked: at(world.nodes, index).acked.map(() => 0),
    ackedAt: at(world.nodes, index).acked.map(() => undefined),
    left: [],
    dies: false,
    lags: false,
  });
  if (asPrimary && world.primary !== index) world.promotedAt = world.now;
  if (asPrimary) world.primary = index;
  world.waits = world.waits.filter((wait) => wait.node !== index);
}

/** FLUSHALL on the primary. */
export function flush(world: World, index: number): void {
  write(world, index, EMPTY_LANE);
}

/** Lane time must not have run on while the lane was closed. */
export function checkOpening(world: World, timeMs: number): void {
  if (timeMs > world.laneTimeMax) {
    breaks(world, `T1: lane time ran on by ${timeMs - world.laneTimeMax} ms while closed`);
  }
}
