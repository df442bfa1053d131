/**
 * The persister around the product's consume and foldBatch: read from PostgreSQL's position, fold,
 * commit by compare-and-set. A transaction is in flight for a while, also when its process has died.
 */
import type { LogRecord } from '../../log/event-log.ts';
import { comparePlaces } from '../../log/place.ts';
import { fenceReason, isHalfDone, laneNow } from './lane-model.ts';
import { isAlive } from './nodes.ts';
import { commit, type Transaction } from './postgres-model.ts';
import { setMark } from './relay-model.ts';
import type { Rules } from './rules.ts';
import {
  at,
  breaks,
  type Position,
  put,
  type StoredEntry,
  showPosition,
  type World,
} from './world.ts';

export function persisterTurn(world: World, index: number, rules: Rules): boolean {
  const persister = at(world.persisters, index);
  if (persister.paused || persister.flight !== undefined || !world.pgUp) return false;
  const marked = markPersisted(world, index);
  const { position } = world.pg;
  if (position.parked !== undefined) return marked;
  const records = readLog(world, index, position, rules);
  if (records.length === 0) return marked;
  const work = prepare(position, records, world.config.form, rules);
  if (work === undefined) {
    // A log never changes, so what is missing in it stays missing. A stream may be another's.
    if (world.config.form === 'kafka') {
      breaks(world, `I8: the consumer stops at a gap behind ${showPosition(position)}`);
    }
    return marked;
  }
  const from = `${showPosition(work.from)}+${work.from.offset}`;
  const key = `transaction persister${index} ${from} to ${showPosition(work.to)}+${work.to.offset}`;
  if (!rules.on('atomic_offset')) {
    const { offset } = work.to;
    world.pg = { ...world.pg, position: { ...position, offset } };
  }
  world.messages.push({ kind: 'transaction', key, index, ...work });
  put(world.persisters, index, { flight: key });
  return true;
}

/** What a batch of records comes to; undefined: nothing of it may be applied. */
export function prepare(
  from: Position,
  records: readonly LogRecord[],
  form: 'kafka' | 'embedded',
  rules: Rules,
): Transaction | undefined {
  const seen = rules.product.consume(from, records, form === 'kafka' ? 'kafka' : 'stream');
  if (seen.records === 0 && seen.stop?.kind === 'gap') return undefined;
  const stored = seen.accepted.map(
    ({ key }) => records.find(({ entry }) => entry !== undefined && isEntry(entry, key))?.entry,
  );
  return {
    from,
    to: seen.position,
    batch: rules.product.foldBatch(seen.accepted),
    stored: stored.filter((bytes) => bytes !== undefined),
    timeMs: seen.accepted.at(-1)?.timeMs ?? 0,
    parked: seen.stop?.kind === 'undecodable' ? seen.stop.reason : undefined,
  };
}

/** Epoch, seq and nonce stand at the front of an entry's bytes. */
function isEntry(bytes: Buffer, key: { epoch: number; seq: number; nonce: Buffer }): boolean {
  return (
    Number(bytes.readBigInt64BE(2)) === key.epoch &&
    Number(bytes.readBigInt64BE(10)) === key.seq &&
    bytes.subarray(18, 26).equals(key.nonce)
  );
}

function readLog(
  world: World,
  index: number,
  position: Position,
  rules: Rules,
): readonly LogRecord[] {
  const { form, batchMax } = world.config;
  if (form === 'kafka') {
    if (!world.kafkaUp) return [];
    const start = Number(position.offset);
    return logRecords(world, start, start + batchMax);
  }
  const node = at(world.nodes, at(world.persisters, index).node);
  const { data } = node;
  if (!isAlive(node) || !data.exists || data.term < position.term) return [];
  const isSilent = !data.open || data.replid !== (rules.on('replid') ? node.replid : node.runid);
  if (isSilent && rules.on('silent_closed')) return [];
  return streamRecords(data.stream, position, data.term, batchMax);
}

export function streamRecords(
  stream: readonly StoredEntry[],
  position: { epoch: number; seq: number },
  term: number,
  most: number,
): LogRecord[] {
  return stream
    .filter(({ entry }) => comparePlaces(entry.key, position) > 0)
    .slice(0, most)
    .map(({ bytes }) => ({ term, offset: 0n, entry: bytes }));
}

export function logRecords(world: World, from: number, to: number): LogRecord[] {
  return world.log.slice(from, to).map(({ term, stored }, i) => ({
    term,
    offset: BigInt(from + i),
    ...(stored === undefined ? {} : { entry: stored.bytes }),
  }));
}

/** A transaction reached PostgreSQL. */
export function onTransaction(
  world: World,
  work: Transaction & { key: string; index: number },
  rules: Rules,
): void {
  const next = commit(world.pg, work, rules);
  if (next !== undefined) world.pg = next;
  if (at(world.persisters, work.index).flight === work.key) {
    put(world.persisters, work.index, { flight: undefined });
  }
}

function markPersisted(world: World, index: number): boolean {
  const { node } = at(world.persisters, index);
  const { position } = world.pg;
  if (!isAlive(at(world.nodes, node))) return false;
  // Embedded there is no other log.
  if (world.config.form === 'embedded') setMark(world, node, 'logged', position);
  return setMark(world, node, 'persisted', position);
}

/** The fenced trim script: by what PostgreSQL has committed, on the node that the caller reaches. */
export function trim(world: World, index: number, rules: Rules): boolean {
  const node = at(world.nodes, index);
  if (node.role !== 'primary' || !isAlive(node) || !world.pgUp) return false;
  const { data } = node;
  const isGuarded = fenceReason(node, { epoch: 0, seq: 0 }, rules, true) !== undefined;
  if ((isGuarded || isHalfDone(data)) && rules.on('trim_guard')) return false;
  const { position } = world.pg;
  if (position.epoch > data.last.epoch && rules.on('trim_epoch')) return false;
  const from = laneNow(node, world.now) - world.config.trimMarginMs;
  const isKept = ({ entry }: StoredEntry): boolean =>
    (comparePlaces(entry.key, position) > 0 && rules.on('trim_persisted')) ||
    entry.timeMs > from ||
    (entry === data.stream.at(-1)?.entry && rules.on('trim_guard'));
  const kept = data.stream.findIndex(isKept);
  const first = kept < 0 ? data.stream.length : kept;
  if (first === 0) return false;
  put(world.nodes, index, { data: { ...data, stream: data.stream.slice(first) } });
  return true;
}
