/**
 * Redis nodes: replication by jumps, WAIT, promotion, restart. A promoted node has a new replication
 * id, a restarted one a new run id too; the old primary goes on in its own eyes until it is told.
 */
import { EMPTY_LANE } from './lane-model.ts';
import { at, breaks, type LaneData, put, type RedisNode, type World } from './world.ts';

export const SENTINEL_DOWN_AFTER_MS = 600;

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

/** A replica jumps to the state of what it follows, and acknowledges. False: nothing to do. */
export function replicate(world: World, index: number): boolean {
  const replica = at(world.nodes, index);
  if (replica.role !== 'replica' || !isAlive(replica) || replica.lags) return false;
  if (replica.follows !== world.primary && canHear(world, index, world.primary)) {
    put(world.nodes, index, { follows: world.primary });
  }
  const { follows } = at(world.nodes, index);
  const source = at(world.nodes, follows);
  if (source.role !== 'primary' || !isAlive(source) || !canHear(world, index, follows))
    return false;
  const isAcked = !world.config.waits || at(source.acked, index) === source.offset;
  const isNews = source.data !== replica.data || !isAcked;
  if (!isNews) return replica.follows !== follows;
  put(world.nodes, index, { data: source.data, offset: source.offset });
  if (!world.config.waits) return true;
  const acked = source.acked.map((offset, i) => (i === index ? source.offset : offset));
  put(world.nodes, follows, { acked });
  answerWaits(world, follows);
  return true;
}

/** WAIT of a node is answered when enough replicas have acknowledged its offset. */
export function answerWaits(world: World, node: number): void {
  const { acked } = at(world.nodes, node);
  const left = world.waits.filter((wait) => {
    if (wait.node !== node) return true;
    const enough = acked.filter((offset) => offset >= wait.offset).length >= wait.replicas;
    if (enough) {
      const { engine, call } = wait;
      world.messages.push({ kind: 'waited', key: `waited ${call}`, engine, node, call });
    }
    return !enough;
  });
  world.waits = left;
}

/** Sentinel, or a careless person: the node becomes primary, the old one is not asked. */
export function promote(world: World, index: number): void {
  const node = at(world.nodes, index);
  world.lives++;
  put(world.nodes, index, {
    role: 'primary',
    replid: `r${world.lives}`,
    follows: index,
    acked: node.acked.map(() => 0),
  });
  world.primary = index;
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

/**
 * One look of the Sentinels, one beside each node: a primary that a majority misses long enough is
 * replaced by the reachable replica that has heard the most.
 */
export function watch(world: World): boolean {
  const { nodes, primary } = world;
  const old = at(nodes, primary);
  const majority = Math.floor(nodes.length / 2) + 1;
  const voters = (side: number): number[] =>
    nodes.flatMap((node, i) => (isAlive(node) && at(world.sides, i) === side ? [i] : []));
  const side = [0, 1].find((each) => voters(each).length >= majority);
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
  const candidates = voters(side).filter((i) => at(nodes, i).role === 'replica');
  const best = candidates.sort((a, b) => at(nodes, b).offset - at(nodes, a).offset)[0];
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
): void {
  world.lives++;
  const asPrimary = as === 'primary' || world.primary === index;
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
    dies: false,
    lags: false,
  });
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
