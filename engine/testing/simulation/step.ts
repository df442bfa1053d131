/**
 * Every step that the world can take, as data: turns of processes, messages that arrive or are lost,
 * faults. The same steps are scheduled by a clock (simulate.ts), taken in any order (search.ts), and
 * repeated from a trace (shrink.ts); only who chooses them differs.
 */
import { comparePlaces } from '../../log/place.ts';
import { type Fault, follow, inject } from './inject.ts';
import { fenceReason, laneNow, ScriptRun } from './lane-model.ts';
import * as nodes from './nodes.ts';
import { onTransaction, persisterTurn, trim } from './persister-model.ts';
import { onRecoveryProduced, recoveryTurn } from './recovery-model.ts';
import { onProduced, relayTurn } from './relay-model.ts';
import type { Rules } from './rules.ts';
import * as shop from './shop.ts';
import { at, breaks, type Message, put, showPosition, type World } from './world.ts';

export type Action =
  | {
      readonly do:
        | 'client'
        | 'flush'
        | 'poll'
        | 'ask'
        | 'sweep'
        | 'relay'
        | 'persister'
        | 'recovery'
        | 'replicate'
        | 'demote'
        | 'fsync'
        | 'trim';
      readonly i: number;
    }
  | { readonly do: 'give_up'; readonly i: number; readonly attempt: number }
  | {
      readonly do: 'follow';
      readonly who: 'engine' | 'relay' | 'persister' | 'recovery';
      readonly i: number;
      readonly node: number;
    }
  | { readonly do: 'deliver' | 'drop'; readonly key: string }
  | { readonly do: 'sentinel' | 'standby' }
  | { readonly do: 'wait'; readonly ms: number }
  | ({ readonly do: 'fault' } & Fault);

/**
 * `blocked`: not now. A message cannot arrive (its receiver is stopped, or the network is cut), or an
 * engine may not give up yet.
 */
export type StepResult = 'done' | 'idle' | 'blocked';

export function step(world: World, action: Action, rules: Rules): StepResult | Promise<StepResult> {
  switch (action.do) {
    case 'deliver':
      return deliver(world, action.key, rules);
    case 'drop':
      return result(remove(world, action.key) !== undefined);
    case 'recovery': {
      const did = recoveryTurn(world, action.i, rules);
      return typeof did === 'boolean' ? result(did) : did.then(result);
    }
    case 'fault':
      return result(inject(world, action, rules));
    case 'give_up':
      return shop.giveUp(world, action.i, action.attempt, rules);
    default:
      return result(turn(world, action, rules));
  }
}

const result = (did: boolean): StepResult => (did ? 'done' : 'idle');

type Turn = Exclude<Action, { do: 'deliver' | 'drop' | 'recovery' | 'fault' | 'give_up' }>;

function turn(world: World, action: Turn, rules: Rules): boolean {
  switch (action.do) {
    case 'client':
      return shop.clientTurn(world, action.i);
    case 'flush':
      return shop.flushEngine(world, action.i, rules);
    case 'poll':
      return hears(world, action.i) && shop.pollMarks(world, action.i, rules);
    case 'ask':
      return shop.askRegistry(world, action.i, rules);
    case 'sweep':
      return shop.sweep(world, action.i);
    case 'relay':
      return relayTurn(world, action.i, rules);
    case 'persister':
      return persisterTurn(world, action.i, rules);
    case 'replicate':
      return nodes.replicate(world, action.i, rules);
    case 'demote':
      return nodes.demote(world, action.i);
    case 'trim':
      return trim(world, action.i, rules);
    case 'sentinel':
      return nodes.watch(world, rules);
    case 'wait':
      world.now += action.ms;
      return true;
    case 'follow':
      return follow(world, action);
    case 'fsync': {
      const { data, disk } = at(world.nodes, action.i);
      if (data !== disk) put(world.nodes, action.i, { disk: data });
      return data !== disk;
    }
    default: {
      const isBehind = world.standby !== world.pg && world.standbyFollows;
      if (!isBehind) return false;
      world.standby = world.pg;
      return true;
    }
  }
}

function hears(world: World, engine: number): boolean {
  const { side, node } = at(world.engines, engine);
  return nodes.reaches(world, side, node);
}

function remove(world: World, key: string): Message | undefined {
  const index = world.messages.findIndex((message) => message.key === key);
  return index < 0 ? undefined : world.messages.splice(index, 1)[0];
}

function deliver(world: World, key: string, rules: Rules): StepResult {
  const message = world.messages.find((each) => each.key === key);
  if (message === undefined) return 'idle';
  if (isBlocked(world, message)) return 'blocked';
  remove(world, key);
  if (world.doomed.includes(key)) {
    world.doomed = world.doomed.filter((each) => each !== key);
    return 'done';
  }
  switch (message.kind) {
    case 'exec':
      execute(world, message, rules);
      break;
    case 'reply':
      shop.onReply(world, message, rules);
      break;
    case 'waited':
      shop.onWaited(world, message.engine, message.call, rules);
      break;
    case 'produce':
      land(world, message, rules);
      break;
    default:
      onTransaction(world, message, rules);
  }
  return 'done';
}

function isBlocked(world: World, message: Message): boolean {
  if (message.kind === 'produce') return !world.kafkaUp;
  if (message.kind === 'transaction') return !world.pgUp;
  return !nodes.reaches(world, at(world.engines, message.engine).side, message.node);
}

/** A batch runs on the node that it was sent to, whatever that has become. */
function execute(world: World, message: Extract<Message, { kind: 'exec' }>, rules: Rules): void {
  const { engine, node: index, ops, sweep, seen, wait, key } = message;
  const node = at(world.nodes, index);
  const answers = ops.map(({ client, attempt, verb }) => ({
    client,
    attempt,
    verb,
    outcome: 'fenced' as const,
    state: undefined,
    replayed: false,
    wrote: false,
  }));
  const refuse = (): void => {
    if (!sweep)
      world.messages.push({
        kind: 'reply',
        key: `reply ${key}`,
        engine,
        node: index,
        call: key,
        stamp: undefined,
        answers,
        entry: undefined,
      });
  };
  if (node.role !== 'primary') {
    refuse();
    return;
  }
  const run = new ScriptRun(node.data, laneNow(node, world.now), rules);
  if (fenceReason(node, seen, rules, false) !== undefined) {
    refuse();
    return;
  }
  if (comparePlaces(node.data.last, seen) < 0) {
    breaks(
      world,
      `A1: an engine that has seen ${showPosition(seen)} is answered from ${showPosition(node.data.last)}`,
    );
  }
  for (const op of ops) run.perform(op);
  if (sweep) run.sweep();
  const kind = run.wrote ? 'batch' : sweep && run.ticks ? 'tick' : undefined;
  let entry: string | undefined;
  if (kind !== undefined) {
    if (fenceReason(node, seen, rules, true) !== undefined) {
      refuse();
      return;
    }
    if (!world.opened.includes(node.data.last.epoch)) {
      breaks(
        world,
        `A2: an entry of epoch ${showPosition(node.data.last)}, which the registry never opened`,
      );
    }
    const { data, stored } = run.finish(kind, ++world.fresh, node.dies);
    nodes.write(world, index, data);
    world.laneTimeMax = Math.max(world.laneTimeMax, data.timeMs);
    if (node.dies) {
      put(world.nodes, index, { dies: false });
      refuse();
      return;
    }
    entry = stored.name;
  }
  if (sweep) return;
  reply(world, message, run, entry);
  if (wait) await_(world, message, entry !== undefined, rules);
}

function reply(
  world: World,
  message: Extract<Message, { kind: 'exec' }>,
  run: ScriptRun,
  entry: string | undefined,
): void {
  const { engine, node, key } = message;
  const { epoch, seq } = at(world.nodes, node).data.last;
  world.messages.push({
    kind: 'reply',
    key: `reply ${key}`,
    engine,
    node,
    call: key,
    stamp: { epoch, seq, timeMs: run.nowMs },
    answers: run.answers,
    entry,
  });
}

/** WAIT behind the script. On a connection that wrote nothing it would return at once. */
function await_(
  world: World,
  { engine, node, key }: Extract<Message, { kind: 'exec' }>,
  wrote: boolean,
  rules: Rules,
): void {
  const covers = wrote || rules.on('wait_replay');
  const offset = covers ? at(world.nodes, node).offset : 0;
  const replicas = Math.floor(world.nodes.length / 2);
  world.waits.push({ node, engine, call: key, offset, replicas });
  nodes.answerWaits(world, node, rules);
}

/** A produce lands at the end of the log; its sender hears of it if it still lives. */
function land(world: World, message: Extract<Message, { kind: 'produce' }>, rules: Rules): void {
  const { from, index, term, entries, expected, key } = message;
  const offset = world.log.length;
  if (entries.length === 0) world.log.push({ term, stored: undefined });
  for (const stored of entries) world.log.push({ term, stored });
  const last = entries.at(-1)?.entry.key;
  if (from === 'recovery') onRecoveryProduced(world, index, key, last);
  else if (last !== undefined) {
    onProduced(world, index, { key, offset, count: entries.length, expected, last }, rules);
  }
}
