/**
 * The Lua scripts of a lane as functions over its data: the same checks in the same order, the entry
 * by the product's codec. What they write is in `../../../lua/commands`; a change there belongs here.
 *
 * Model: one warehouse, one line to a placement, no attributes, no partial carts, no adoption.
 */
import type { Cell } from '../../domain/cell.ts';
import { asReservation, asSku, cellField } from '../../domain/ids.ts';
import type { OutcomeName } from '../../domain/outcome.ts';
import { generationOf } from '../../domain/reservation-id.ts';
import { type Change, type Entry, type EntryKey, NEVER } from '../../events/entry.ts';
import { encodeEntry } from '../../events/entry-codec.ts';
import type { Place } from '../../log/place.ts';
import { comparePlaces } from '../../log/place.ts';
import type { Rules } from './rules.ts';
import {
  type Answer,
  type Hold,
  type LaneData,
  nameOf,
  nonceOf,
  type Op,
  type RedisNode,
  type StoredEntry,
  WALL_START_MS,
} from './world.ts';

export const WAREHOUSE = 'w';
const NO_KEY = Buffer.alloc(8);
const TICK_MS = 1000;
const EXPIRED_AT_ONCE = 3;

export const EMPTY_LANE: LaneData = {
  exists: false,
  term: 0,
  open: false,
  replid: '',
  last: NEVER,
  timeMs: 0,
  offsetMs: 0,
  cells: [],
  holds: {},
  stream: [],
};

export function store(entry: Entry): StoredEntry {
  return { entry, bytes: encodeEntry(entry), name: nameOf(entry.key) };
}

/** What scripts take for the node's own id. */
export function idOf(node: RedisNode, rules: Rules): string {
  return rules.on('replid') ? node.replid : node.runid;
}

/** Meta or stream: where the last entry stands. */
export function topOf(data: LaneData): EntryKey {
  return data.stream.at(-1)?.entry.key ?? data.last;
}

export function isHalfDone(data: LaneData): boolean {
  return comparePlaces(topOf(data), data.last) > 0;
}

/** Why every script of an open lane writes nothing; undefined: it may go on. */
export function fenceReason(
  node: RedisNode,
  seen: Place,
  rules: Rules,
  writes: boolean,
): string | undefined {
  const { data } = node;
  if (!data.exists) return 'no_meta';
  if (data.replid !== idOf(node, rules)) return 'replid';
  if (!data.open) return 'closed';
  if (comparePlaces(data.last, seen) < 0 && rules.on('causal_token')) return 'behind_caller';
  // Without the rule the XADD still refuses; who writes nothing goes on answering.
  if (isHalfDone(data) && (rules.on('last_id') || writes)) return 'half_done';
  return undefined;
}

export function laneNow(node: RedisNode, now: number): number {
  return Math.max(node.data.timeMs, WALL_START_MS + now + node.skewMs + node.data.offsetMs);
}

/** One script run, on its way: what it has changed so far. */
export class ScriptRun {
  readonly data: LaneData;
  readonly nowMs: number;
  readonly #rules: Rules;
  readonly answers: Answer[] = [];
  readonly #cells: (Cell | undefined)[];
  readonly #holds: Record<string, Hold>;
  readonly #changes: Change[] = [];
  readonly #touched: number[] = [];

  constructor(data: LaneData, nowMs: number, rules: Rules) {
    this.data = data;
    this.#rules = rules;
    this.nowMs = nowMs;
    this.#cells = [...data.cells];
    this.#holds = { ...data.holds };
  }

  get wrote(): boolean {
    return this.#changes.length > 0;
  }

  perform(op: Op): void {
    const before = this.#changes.length;
    const [outcome, replayed] = this.#decide(op);
    const state = this.#holds[op.id]?.state;
    const { client, attempt, verb } = op;
    const wrote = this.#changes.length > before;
    this.answers.push({ client, attempt, verb, outcome, state, replayed, wrote });
  }

  /** Gives expired holds back; says how many. */
  sweep(): number {
    const nowS = Math.floor(this.nowMs / 1000);
    const due = Object.entries(this.#holds)
      .filter(([, hold]) => hold.state === 'held' && hold.deadlineS <= nowS)
      .slice(0, EXPIRED_AT_ONCE);
    for (const [id, hold] of due) {
      const moves = this.#giveBack(hold, 'reserved');
      const version = hold.version + 1;
      this.#changes.push({ type: 'expired', ...this.#name(id), version, moves });
      this.#holds[id] = { ...hold, state: 'expired', version, lines: [] };
    }
    return due.length;
  }

  /** The entry and the lane after it; half: the script died behind its cells. */
  finish(
    kind: Entry['kind'],
    nonce: number,
    half: boolean,
  ): { data: LaneData; stored: StoredEntry } {
    const { last } = this.data;
    const entry: Entry = {
      kind,
      key: { epoch: last.epoch, seq: last.seq + 1, nonce: nonceOf(nonce) },
      predecessor: last,
      timeMs: this.nowMs,
      cells: this.#touched.map((index) => this.#result(index)),
      changes: this.#changes,
    };
    const stored = store(entry);
    const stream = [...this.data.stream, stored];
    if (half) return { data: { ...this.data, stream, cells: this.#cells }, stored };
    const data = {
      ...this.data,
      stream,
      cells: this.#cells,
      holds: this.#holds,
      last: entry.key,
      timeMs: this.nowMs,
    };
    return { data, stored };
  }

  /** A tick is due: nothing was written for a second, and holds live. */
  get ticks(): boolean {
    const isLive = Object.values(this.#holds).some(({ state }) => state === 'held');
    return isLive && this.nowMs - this.data.timeMs >= TICK_MS;
  }

  #decide(op: Op): [OutcomeName, boolean] {
    switch (op.verb) {
      case 'reserve':
        return this.#reserve(op);
      case 'commit':
        return this.#commit(op);
      case 'release':
        return this.#release(op);
      case 'cancel':
        return this.#cancel(op);
      default:
        return [this.#holds[op.id] === undefined ? 'not_found' : 'exists', false];
    }
  }

  #reserve(op: Op): [OutcomeName, boolean] {
    if (this.#holds[op.id] !== undefined) return ['exists', true];
    if (!this.#hasAll(op.lines)) return ['insufficient', false];
    for (const { cell, units } of op.lines) this.#move(cell, -units, units, 0);
    const deadlineS = Math.ceil((this.nowMs + op.ttlMs) / 1000);
    this.#holds[op.id] = { state: 'held', version: 1, deadlineS, lines: op.lines };
    this.#changes.push({
      type: 'reserved',
      ...this.#name(op.id),
      fingerprint: NO_KEY,
      deadlineS,
      attributes: '',
      lines: op.lines.map(({ cell, units }, line) => ({
        line,
        requested: units,
        placements: [{ cell: this.#touch(cell), quantity: units }],
      })),
    });
    return ['created', false];
  }

  #commit(op: Op): [OutcomeName, boolean] {
    const hold = this.#holds[op.id];
    if (hold?.state === 'committed') return ['committed', true];
    if (hold?.state === 'released') return ['already_released', false];
    if (hold?.state === 'closed') return ['already_closed', false];
    if (hold?.state === 'held') {
      for (const { cell, units } of hold.lines) this.#move(cell, 0, -units, units);
      this.#committed(op.id, hold.lines, hold.version + 1, false);
      return ['committed', false];
    }
    const isOlder = op.holdEpoch < this.data.last.epoch;
    if (hold === undefined && !isOlder) return ['not_found', false];
    if (!this.#isInTime(op)) return ['undecided', false];
    if (!this.#hasAll(op.lines)) return ['hold_lost', false];
    for (const { cell, units } of op.lines) this.#move(cell, -units, 0, units);
    this.#committed(op.id, op.lines, 1, true);
    return ['committed', false];
  }

  /** Its client may have been told no since, so it must not be too late. */
  #isInTime({ retake }: Op): boolean {
    if (!this.#rules.on('request_age')) return true;
    const isEpoch = retake?.epoch === this.data.last.epoch;
    return isEpoch && this.nowMs <= retake.untilMs;
  }

  #committed(id: string, lines: Hold['lines'], version: number, retaken: boolean): void {
    this.#holds[id] = { state: 'committed', version, deadlineS: 0, lines };
    this.#changes.push({
      type: 'committed',
      ...this.#name(id),
      version,
      commitFingerprint: 0,
      retaken,
      fingerprint: NO_KEY,
      attributes: '',
      moves: lines.map(({ cell, units }, line) => ({
        line,
        cell: this.#touch(cell),
        allocated: units,
        freed: 0,
      })),
    });
  }

  #release(op: Op): [OutcomeName, boolean] {
    const hold = this.#holds[op.id];
    if (hold === undefined) return ['not_found', false];
    if (hold.state === 'released') return ['released', true];
    if (hold.state === 'expired') return ['expired', false];
    if (hold.state !== 'held') return ['already_committed', false];
    const moves = this.#giveBack(hold, 'reserved');
    const version = hold.version + 1;
    const rest = { whole: true, operation: NO_KEY, attributes: '', moves };
    this.#changes.push({ type: 'released', ...this.#name(op.id), version, ...rest });
    this.#holds[op.id] = { ...hold, state: 'released', version, lines: [] };
    return ['released', false];
  }

  #cancel(op: Op): [OutcomeName, boolean] {
    const hold = this.#holds[op.id];
    if (hold === undefined) return ['not_found', false];
    if (hold.state === 'closed') return ['cancelled', true];
    if (hold.state === 'expired') return ['expired', false];
    if (hold.state !== 'committed') return ['not_committed', false];
    const moves = this.#giveBack(hold, 'allocated');
    const version = hold.version + 1;
    const rest = { closed: true, operation: NO_KEY, attributes: '', moves };
    this.#changes.push({ type: 'cancelled', ...this.#name(op.id), version, ...rest });
    this.#holds[op.id] = { ...hold, state: 'closed', version, lines: [] };
    return ['cancelled', false];
  }

  #giveBack(hold: Hold, from: 'reserved' | 'allocated') {
    return hold.lines.map(({ cell, units }, line) => {
      this.#move(cell, units, from === 'reserved' ? -units : 0, from === 'reserved' ? 0 : -units);
      return { line, cell: this.#touch(cell), quantity: units };
    });
  }

  #hasAll(lines: Hold['lines']): boolean {
    return lines.every(({ cell, units }) => (this.#cells[cell]?.available ?? 0) >= units);
  }

  #move(index: number, available: number, reserved: number, allocated: number): void {
    const cell = this.#cells[index] ?? { available: 0, reserved: 0, allocated: 0, version: 0 };
    const isFirst = !this.#touched.includes(index);
    this.#touch(index);
    this.#cells[index] = {
      available: cell.available + available,
      reserved: cell.reserved + reserved,
      allocated: cell.allocated + allocated,
      version: cell.version + (isFirst ? 1 : 0),
    };
  }

  /** Index of the cell in the entry. */
  #touch(index: number): number {
    const known = this.#touched.indexOf(index);
    return known >= 0 ? known : this.#touched.push(index) - 1;
  }

  #result(index: number) {
    const cell = this.#cells[index] ?? { available: 0, reserved: 0, allocated: 0, version: 0 };
    return { sku: skuOf(index), field: cellField(WAREHOUSE), ...cell };
  }

  #name(id: string) {
    return { id: asReservation(id), generation: generationOf(this.nowMs) };
  }
}

export function skuOf(cell: number) {
  return asSku(`s${cell}`);
}
