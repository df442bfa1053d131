/** Faults, as data, and what each does to the world. */
import { EMPTY_LANE, idOf, laneNow } from './lane-model.ts';
import * as nodes from './nodes.ts';
import { IDLE_RECOVERY } from './recovery-model.ts';
import { crashRelay } from './relay-model.ts';
import type { Rules } from './rules.ts';
import * as shop from './shop.ts';
import { at, put, type RecoveryStep, type World } from './world.ts';

export type Worker = 'relay' | 'persister' | 'recovery';

export type Fault =
  | {
      readonly fault: 'kill' | 'hang' | 'resume' | 'half' | 'lag' | 'catch_up' | 'flush';
      readonly node: number;
    }
  | { readonly fault: 'promote'; readonly node: number }
  /** The Sentinels take a primary for down that is not, and choose another. */
  | { readonly fault: 'false_alarm' }
  | {
      readonly fault: 'restart';
      readonly node: number;
      readonly as: 'replica' | 'primary';
      readonly with: 'all' | 'disk' | 'nothing';
    }
  | { readonly fault: 'skew'; readonly node: number; readonly ms: number }
  | {
      readonly fault: 'cut';
      readonly nodes: readonly number[];
      readonly engines: readonly number[];
    }
  | { readonly fault: 'heal' }
  | { readonly fault: 'pause' | 'go_on'; readonly who: Worker; readonly index: number }
  /** `loses`: what its process had sent never arrives. */
  | {
      readonly fault: 'crash';
      readonly who: Worker;
      readonly index: number;
      readonly loses: boolean;
    }
  /** The next recovery that comes to the step dies, or stops, ahead of it. */
  | { readonly fault: 'interrupt'; readonly step: RecoveryStep; readonly pauses: boolean }
  /** A process is led to a node that is not the Sentinels' primary. */
  | {
      readonly fault: 'stray';
      readonly who: Worker | 'engine';
      readonly index: number;
      readonly node: number;
    }
  | { readonly fault: 'standby'; readonly follows: boolean }
  | { readonly fault: 'crash_engine'; readonly index: number }
  | { readonly fault: 'postgres' | 'kafka'; readonly up: boolean }
  | { readonly fault: 'promote_postgres' };

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Leads a process to another node. False: it is there, or cannot reach it. */
export function follow(
  world: World,
  { who, i, node }: { readonly who: Worker | 'engine'; readonly i: number; readonly node: number },
): boolean {
  const list = {
    engine: world.engines,
    relay: world.relays,
    persister: world.persisters,
    recovery: world.recoveries,
  };
  const from = at<{ node: number }>(list[who], i);
  if (
    from.node === node ||
    (who === 'engine' && !nodes.reaches(world, at(world.engines, i).side, node))
  )
    return false;
  if (who === 'engine') put(world.engines, i, { node });
  else if (who === 'relay') put(world.relays, i, { node });
  else if (who === 'persister') put(world.persisters, i, { node });
  else put(world.recoveries, i, { node });
  return true;
}

export function inject(world: World, fault: Fault, rules: Rules): boolean {
  world.faults++;
  switch (fault.fault) {
    case 'kill':
      put(world.nodes, fault.node, { up: false });
      nodes.leave(world, fault.node);
      world.waits = world.waits.filter(({ node }) => node !== fault.node);
      return true;
    case 'hang':
      put(world.nodes, fault.node, { hung: true });
      return true;
    case 'resume':
      nodes.wake(world, fault.node, rules);
      return true;
    case 'half':
      world.crashes++;
      put(world.nodes, fault.node, { dies: true });
      return true;
    case 'lag':
    case 'catch_up':
      put(world.nodes, fault.node, { lags: fault.fault === 'lag' });
      return true;
    case 'flush':
      nodes.flush(world, fault.node);
      return true;
    case 'promote':
      if (world.primary === fault.node || !nodes.isAlive(at(world.nodes, fault.node))) return false;
      nodes.promote(world, fault.node);
      return true;
    case 'false_alarm':
      return nodes.replace(world, rules);
    case 'restart': {
      const { data, disk } = at(world.nodes, fault.node);
      const found = { all: data, disk, nothing: EMPTY_LANE }[fault.with];
      nodes.restart(world, fault.node, fault.as, found, rules);
      return true;
    }
    case 'skew':
      if (fault.ms < 0) world.clockSetBack = true;
      put(world.nodes, fault.node, { skewMs: at(world.nodes, fault.node).skewMs + fault.ms });
      for (const node of world.nodes)
        if (node.data.open && node.data.replid === idOf(node, rules)) {
          world.laneTimeMax = Math.max(world.laneTimeMax, laneNow(node, world.now));
        }
      return true;
    case 'cut':
    case 'heal':
      return cut(world, fault);
    case 'postgres':
      world.pgUp = fault.up;
      return true;
    case 'kafka':
      world.kafkaUp = fault.up;
      return true;
    case 'standby':
      world.standbyFollows = fault.follows;
      return true;
    case 'interrupt':
      world.interrupt = { step: fault.step, pauses: fault.pauses };
      return true;
    case 'stray':
      return follow(world, { who: fault.who, i: fault.index, node: fault.node });
    case 'promote_postgres':
      return promotePostgres(world);
    default:
      return injectProcess(world, fault, rules);
  }
}

function cut(world: World, fault: Extract<Fault, { fault: 'cut' | 'heal' }>): boolean {
  const none: readonly number[] = [];
  const away = fault.fault === 'cut' ? fault : { nodes: none, engines: none };
  world.sides = world.sides.map((_, i) => (away.nodes.includes(i) ? 1 : 0));
  world.engines = world.engines.map((engine, i) => ({
    ...engine,
    side: away.engines.includes(i) ? 1 : 0,
  }));
  return true;
}

function injectProcess(
  world: World,
  fault: Extract<Fault, { fault: 'crash' | 'pause' | 'go_on' | 'crash_engine' }>,
  rules: Rules,
): boolean {
  if (fault.fault === 'crash_engine') {
    shop.crashEngine(world, fault.index, rules);
    return true;
  }
  const { who, index } = fault;
  const isCrash = fault.fault === 'crash';
  const paused = fault.fault === 'pause';
  if (fault.fault === 'crash') {
    world.crashes++;
    if (fault.loses)
      lose(
        world,
        { relay: world.relays, persister: world.persisters, recovery: world.recoveries }[who][index]
          ?.flight,
      );
  }
  if (who === 'relay' && isCrash) crashRelay(world, index, rules);
  else if (who === 'relay') put(world.relays, index, { paused });
  else if (who === 'persister')
    put(world.persisters, index, isCrash ? { flight: undefined, paused } : { paused });
  else put(world.recoveries, index, isCrash ? { ...IDLE_RECOVERY, paused } : { paused });
  return true;
}

function lose(world: World, key: string | undefined): void {
  if (key !== undefined) world.doomed.push(key);
}

/** An asynchronous standby takes over, behind; the timeline is a new one. */
function promotePostgres(world: World): boolean {
  const { pg, standby, config } = world;
  if (config.form === 'embedded' && standby !== pg) world.pgLost = true;
  world.pg = { ...standby, timeline: pg.timeline + 1 };
  world.standby = world.pg;
  world.standbyFollows = true;
  world.messages = world.messages.filter(({ kind }) => kind !== 'transaction');
  world.persisters = world.persisters.map((each) => ({ ...each, flight: undefined }));
  return true;
}
