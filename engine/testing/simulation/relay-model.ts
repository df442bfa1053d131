/**
 * The relay (engine/relay/relay.ts) as a state machine: begins at PostgreSQL's position, one produce
 * in flight, proves by contiguity or by PostgreSQL that no fence stands before what it sent.
 */
import { comparePlaces, isSameEntry, isSamePlace, type Place } from '../../log/place.ts';
import { idOf } from './lane-model.ts';
import { isAlive } from './nodes.ts';
import type { Rules } from './rules.ts';
import { at, put, type RedisNode, type Relay, type World } from './world.ts';

export const IDLE_RELAY: Omit<Relay, 'node' | 'paused'> = {
  term: undefined,
  cursor: { epoch: 0, seq: 0 },
  next: undefined,
  anchor: undefined,
  flight: undefined,
};

/** One turn: proof, watermark, and when nothing is in flight the next entries. */
export function relayTurn(world: World, index: number, rules: Rules): boolean {
  const before = at(world.relays, index);
  if (before.paused || !isAlive(at(world.nodes, before.node))) return false;
  const begun = prove(world, index) || begin(world, index, rules);
  const marked = markLogged(world, index);
  return send(world, index, rules) || marked || begun;
}

function begin(world: World, index: number, rules: Rules): boolean {
  const relay = at(world.relays, index);
  const node = at(world.nodes, relay.node);
  if (relay.term !== undefined || relay.flight !== undefined || !world.pgUp) return false;
  const { position } = world.pg;
  if (!mayRelay(node, rules)) return false;
  const term = termOf(world, node, rules);
  if (term < position.term) return false;
  const isFirst = relay.cursor.epoch === 0;
  const cursor = rules.on('cursor_reset') || isFirst ? position : relay.cursor;
  const first = node.data.stream.find(({ entry }) => comparePlaces(entry.key, cursor) > 0);
  const fits = first === undefined || isSameEntry(first.entry.predecessor, position);
  if (!fits && rules.on('cursor_reset') && rules.on('silent_closed')) return false;
  const { epoch, seq } = cursor;
  put(world.relays, index, { term, cursor: { epoch, seq }, next: undefined, anchor: undefined });
  return true;
}

function mayRelay({ data, ...node }: RedisNode, rules: Rules): boolean {
  if (!data.exists) return false;
  if (!rules.on('silent_closed')) return true;
  return data.open && data.replid === idOf({ data, ...node }, rules);
}

function termOf(world: World, node: RedisNode, rules: Rules): number {
  return rules.on('term_from_meta') ? node.data.term : world.pg.registry.term;
}

/** PostgreSQL says whether a fence stands before the anchor. */
function prove(world: World, index: number): boolean {
  const { term, anchor } = at(world.relays, index);
  if (!world.pgUp || term === undefined) return false;
  const { position } = world.pg;
  if (position.term > term) {
    put(world.relays, index, { term: undefined });
    return true;
  }
  const isProven =
    anchor !== undefined && position.term === term && position.offset >= BigInt(anchor);
  if (isProven) put(world.relays, index, { anchor: undefined });
  return isProven;
}

function markLogged(world: World, index: number): boolean {
  const { term, anchor, next, cursor, node } = at(world.relays, index);
  if (term === undefined || anchor !== undefined || next === undefined) return false;
  return setMark(world, node, 'logged', cursor);
}

/** Any client may write it, on any node that takes writes. False: it says so already. */
export function setMark(
  world: World,
  node: number,
  level: 'logged' | 'persisted',
  place: Place,
): boolean {
  const { marks, role } = at(world.nodes, node);
  if (role !== 'primary' || isSamePlace(marks[level], place)) return false;
  const mark = { epoch: place.epoch, seq: place.seq };
  put(world.nodes, node, { marks: { ...marks, [level]: mark } });
  return true;
}

function send(world: World, index: number, rules: Rules): boolean {
  const relay = at(world.relays, index);
  if (relay.term === undefined || relay.flight !== undefined) return false;
  const node = at(world.nodes, relay.node);
  if (!mayRelay(node, rules) || termOf(world, node, rules) !== relay.term) {
    put(world.relays, index, { term: undefined });
    return true;
  }
  const entries = node.data.stream
    .filter(({ entry }) => comparePlaces(entry.key, relay.cursor) > 0)
    .slice(0, world.config.batchMax);
  const last = entries.at(-1);
  if (last === undefined) return false;
  const key = `produce relay${index} ${entries.map(({ name }) => name).join(',')} under ${relay.term % 2 ** 32} #${world.log.length}`;
  world.messages.push({
    kind: 'produce',
    key,
    from: 'relay',
    index,
    term: relay.term,
    entries,
    expected: relay.next,
  });
  put(world.relays, index, { flight: key, next: undefined });
  return true;
}

/** The produce was acknowledged: it stands at `offset`. */
export function onProduced(
  world: World,
  index: number,
  produced: {
    key: string;
    offset: number;
    count: number;
    expected: number | undefined;
    last: { epoch: number; seq: number };
  },
  rules: Rules,
): void {
  if (at(world.relays, index).flight !== produced.key) return;
  const { offset, count, expected, last } = produced;
  const isContiguous = offset === expected || !rules.on('contiguity');
  const { anchor } = at(world.relays, index);
  put(world.relays, index, {
    flight: undefined,
    next: offset + count,
    cursor: { epoch: last.epoch, seq: last.seq },
    anchor: isContiguous ? anchor : offset,
  });
}

/** A new process. Without the rule it goes on at a cursor that was saved with the send. */
export function crashRelay(world: World, index: number, rules: Rules): void {
  const { node, flight, cursor } = at(world.relays, index);
  const sent = world.messages.find(({ key }) => key === flight);
  const last = sent?.kind === 'produce' ? sent.entries.at(-1)?.entry.key : undefined;
  const saved = last === undefined ? cursor : { epoch: last.epoch, seq: last.seq };
  const kept = rules.on('cursor_reset') ? IDLE_RELAY.cursor : saved;
  put(world.relays, index, { ...IDLE_RELAY, cursor: kept, node, paused: false });
}
