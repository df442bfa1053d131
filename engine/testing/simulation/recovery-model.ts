/**
 * Recovery (reconciler/recover.ts) as a state machine, one step to a turn, so that it may crash or
 * pause behind each. What it decides by is the product's: needsRecovery, termAfter, traceLineage.
 */
import { NEVER } from '../../events/entry.ts';
import { comparePlaces, isSameEntry } from '../../log/place.ts';
import { EMPTY_LANE, idOf, isHalfDone, laneNow, store, topOf } from './lane-model.ts';
import { checkOpening, isAlive, write } from './nodes.ts';
import { prepare, streamRecords } from './persister-model.ts';
import { commit } from './postgres-model.ts';
import type { Rules } from './rules.ts';
import {
  at,
  type LaneData,
  nameOf,
  nonceOf,
  type Position,
  put,
  type Recovery,
  type RedisNode,
  type StoredEntry,
  WALL_START_MS,
  type World,
} from './world.ts';

export const IDLE_RECOVERY: Omit<Recovery, 'node' | 'paused'> = {
  step: 'idle',
  term: 0,
  replid: '',
  before: NEVER,
  lineage: undefined,
  sent: undefined,
  flight: undefined,
  head: undefined,
  copy: undefined,
};

/** True when it did something. */
export function recoveryTurn(
  world: World,
  index: number,
  rules: Rules,
): boolean | Promise<boolean> {
  const turn = new Turn(world, index, rules);
  const { paused, step } = at(world.recoveries, index);
  if (paused || !world.pgUp) return false;
  if (world.interrupt?.step === step) return turn.interrupt(world.interrupt.pauses);
  if (step === 'idle') return turn.begin();
  if (turn.isOver()) return turn.end();
  if (step === 'fence') return turn.fence();
  if (step === 'fenced') return turn.awaitFence();
  if (step === 'registry') return turn.openRegistry();
  if (!isAlive(turn.node)) return false;
  if (step === 'claim') return turn.claim();
  return turn.isOurs() ? turn.underClaim(step) : turn.end();
}

class Turn {
  readonly #world: World;
  readonly #index: number;
  readonly #rules: Rules;

  constructor(world: World, index: number, rules: Rules) {
    this.#world = world;
    this.#index = index;
    this.#rules = rules;
  }

  get #self(): Recovery {
    return at(this.#world.recoveries, this.#index);
  }

  get node(): RedisNode {
    return at(this.#world.nodes, this.#self.node);
  }

  #is(change: Partial<Recovery>): true {
    put(this.#world.recoveries, this.#index, change);
    return true;
  }

  interrupt(pauses: boolean): true {
    this.#world.interrupt = undefined;
    return this.#is(pauses ? { paused: true } : { ...IDLE_RECOVERY });
  }

  end(): true {
    return this.#is({ ...IDLE_RECOVERY });
  }

  /** Why this recovery may not go on, by the registry's row. */
  isOver(): boolean {
    const { registry, timeline, position } = this.#world.pg;
    const { term, step } = this.#self;
    const isOpening = step === 'open' && this.#rules.on('registry_first');
    const row = { lane: 0, ...registry, changedAt: '', timeline, position };
    const ended = this.#rules.product.whyEnded(row, term, [isOpening ? 'open' : 'recovering']);
    const isParked = ended === 'parked' && registry.term === term;
    if (isParked) this.#world.pg = { ...this.#world.pg, registry: { term, state: 'parked' } };
    return ended !== undefined;
  }

  /** A majority of the Sentinels names another node. Where there are none, nobody knows. */
  #isOvertaken(): boolean {
    const { config, primary } = this.#world;
    return config.replicatedSurvives && this.#self.node !== primary;
  }

  begin(): boolean {
    const { pg } = this.#world;
    const { node } = this;
    if (!isAlive(node) || node.role !== 'primary') return false;
    if (this.#isOvertaken() && this.#rules.on('majority_recovers')) return false;
    const others = this.#world.recoveries.filter((_, i) => i !== this.#index);
    const isTaken = others.some(({ step, paused }) => step !== 'idle' && !paused);
    if (isTaken && this.#world.polite) return false;
    const { data } = node;
    const seen = {
      exists: data.exists,
      term: data.term,
      open: data.open,
      replidMatches: data.replid === idOf(node, this.#rules),
      halfDone: isHalfDone(data),
      last: data.last,
      timeMs: data.timeMs,
    };
    const { registry, timeline } = pg;
    const cause = this.#rules.product.needsRecovery(seen, { ...registry, timeline });
    if (cause === undefined) return false;
    const term = this.#rules.product.termAfter(registry.term, timeline);
    this.#world.pg = { ...pg, registry: { term, state: 'recovering' } };
    return this.#is({ ...IDLE_RECOVERY, step: 'claim', term });
  }

  claim(): boolean {
    const { node } = this;
    const { data } = node;
    const { term } = this.#self;
    if (node.role !== 'primary') return this.end();
    if (data.exists && data.term >= term) return this.end();
    const replid = idOf(node, this.#rules);
    const wall = laneNow(node, this.#world.now);
    const ran = data.exists && data.open && data.replid === replid;
    const timeMs = ran ? wall : data.timeMs;
    this.#world.laneTimeMax = Math.max(this.#world.laneTimeMax, timeMs);
    const base = data.exists ? data : EMPTY_LANE;
    this.#write({ ...base, exists: true, term, open: false, replid, timeMs });
    return this.#is({ step: 'fence', replid, before: data.last });
  }

  fence(): boolean {
    const { pg, config, kafkaUp } = this.#world;
    const { term, flight } = this.#self;
    if (!this.#rules.on('fence_record')) return this.#is({ step: 'lineage' });
    if (config.form === 'embedded') {
      this.#world.pg = { ...pg, position: { ...pg.position, term } };
      return this.#is({ step: 'lineage' });
    }
    if (flight !== undefined || !kafkaUp) return false;
    return this.#produce([]);
  }

  awaitFence(): boolean {
    if (this.#world.pg.position.term < this.#self.term) return false;
    return this.#is({ step: 'lineage' });
  }

  /** Scripts of recovery run on the claimed node under the claimed term. */
  isOurs(): boolean {
    const { node } = this;
    const { term, replid } = this.#self;
    if (node.role !== 'primary' || node.data.term !== term || node.data.open) return false;
    if (!this.#rules.on('recovery_replid')) return true;
    return node.data.replid === replid && idOf(node, this.#rules) === replid;
  }

  underClaim(step: Recovery['step']): boolean | Promise<boolean> {
    switch (step) {
      case 'lineage':
        return this.#lineage();
      case 'relay':
        return this.#relay();
      case 'drained':
        return this.#planCopy();
      case 'wipe':
        this.#write({ ...this.node.data, ...this.#nothing(), cells: [], holds: {}, stream: [] });
        return this.#is({ step: 'cells' });
      case 'cells':
        return this.#copyCells();
      case 'holds':
        return this.#copyHolds();
      default:
        return this.#open();
    }
  }

  async #lineage(): Promise<boolean> {
    const { pg } = this.#world;
    const { data } = this.node;
    const { position } = pg;
    const found = await this.#rules.product.traceLineage(
      {
        last: data.last,
        halfDone: isHalfDone(data),
        linksAfter: async (place) =>
          data.stream
            .filter(({ entry }) => comparePlaces(entry.key, place) > 0)
            .slice(0, this.#world.config.batchMax)
            .map(({ entry }) => entry),
        isApplied: async (key) => isSameEntry(key, NEVER) || pg.entries.includes(nameOf(key)),
      },
      position,
    );
    if (found.kind === 'behind') {
      const { registry } = pg;
      this.#world.pg = { ...pg, registry: { ...registry, state: 'parked' } };
      return this.end();
    }
    if (found.kind !== 'tail')
      return this.#is({ step: 'drained', lineage: found.kind, head: position });
    const head: Position = { ...position, ...found.head };
    return this.#is({ step: 'relay', lineage: 'tail', sent: found.after, head });
  }

  /** A piece of the tail under our term; then until PostgreSQL has it. */
  #relay(): boolean {
    const { pg, config, kafkaUp } = this.#world;
    const { head, sent, flight, term } = this.#self;
    if (head === undefined || flight !== undefined) return false;
    if (isSameEntry(pg.position, head)) return this.#is({ step: 'drained', head: pg.position });
    const { data } = this.node;
    if (config.form === 'embedded') {
      const records = streamRecords(data.stream, pg.position, term, config.batchMax);
      const work = prepare(pg.position, records, config.form, this.#rules);
      const isFenced = pg.position.term !== term && this.#rules.on('fence_record');
      const next = work === undefined || isFenced ? undefined : commit(pg, work, this.#rules);
      if (next === undefined) return this.end();
      this.#world.pg = next;
      return true;
    }
    if (sent === undefined || !kafkaUp) return false;
    const some = data.stream.filter(({ entry }) => comparePlaces(entry.key, sent) > 0);
    return some.length > 0 && this.#produce(some.slice(0, config.batchMax));
  }

  #produce(entries: readonly StoredEntry[]): true {
    const { term } = this.#self;
    const what = entries.length === 0 ? 'fence' : entries.map(({ name }) => name).join(',');
    const key = `produce recovery${this.#index} ${what} under ${term % 2 ** 32}`;
    this.#world.messages.push({
      kind: 'produce',
      key,
      from: 'recovery',
      index: this.#index,
      term,
      entries,
      expected: undefined,
    });
    return this.#is({ flight: key });
  }

  async #planCopy(): Promise<boolean> {
    const { entries } = this.#world.pg;
    const { before, head, lineage } = this.#self;
    if (head === undefined || lineage === undefined) return this.end();
    const copy = await this.#rules.product.planCopy(lineage, before, head, ([epoch, seq, nonce]) =>
      entries.includes(nameOf({ epoch, seq, nonce })),
    );
    if (copy === 'nothing') return this.#afterCopy();
    const isWiped = copy === 'everything' && this.#rules.on('wipe_first');
    return this.#is({ copy, step: isWiped ? 'wipe' : 'cells' });
  }

  #copyCells(): boolean {
    const { pg } = this.#world;
    const { before, copy } = this.#self;
    const { data } = this.node;
    const cells = pg.cells.map(({ available, reserved, allocated, version, place }, i) => {
      const isWanted = copy === 'everything' || comparePlaces(place, before) > 0;
      return isWanted ? { available, reserved, allocated, version } : data.cells[i];
    });
    this.#write({ ...data, ...this.#nothing(), cells });
    return this.#is({ step: 'holds' });
  }

  #copyHolds(): boolean {
    const { pg } = this.#world;
    const { before, copy } = this.#self;
    const { data } = this.node;
    const holds = { ...data.holds };
    for (const [id, { hold, place }] of Object.entries(pg.reservations)) {
      const isLive = hold.state === 'held' || hold.state === 'committed';
      if (!isLive && !this.#rules.on('tombstones')) continue;
      if (copy === 'everything' || comparePlaces(place, before) > 0) holds[id] = hold;
    }
    this.#write({ ...data, holds });
    return this.#afterCopy();
  }

  #afterCopy(): true {
    return this.#is({ step: this.#rules.on('registry_first') ? 'registry' : 'open' });
  }

  openRegistry(): boolean {
    const { pg, opened } = this.#world;
    const { term, head } = this.#self;
    const isHead = head !== undefined && isSameEntry(pg.position, head);
    const isOurs = pg.position.term === term || !this.#rules.on('fence_record');
    if (this.#rules.on('newest_term') && !(isHead && isOurs)) return this.end();
    this.#world.pg = { ...pg, registry: { term, state: 'open' } };
    opened.push(term);
    return this.#rules.on('registry_first') ? this.#is({ step: 'open' }) : this.end();
  }

  #open(): boolean {
    const { node } = this;
    const { data } = node;
    const { term, head } = this.#self;
    if (head === undefined) return this.end();
    const epoch = this.#rules.on('epoch_registry') ? term : topOf(data).epoch + 1;
    const wall = WALL_START_MS + this.#world.now + node.skewMs;
    const known = Math.max(data.timeMs, head.timeMs);
    const frozen = known === 0 ? wall : known;
    const offsetMs = this.#rules.on('time_stands_still') ? frozen - wall : data.offsetMs;
    const timeMs = Math.max(frozen, wall + offsetMs);
    this.#world.laneTimeMax = Math.max(this.#world.laneTimeMax, head.timeMs);
    if (known > 0) checkOpening(this.#world, timeMs);
    const { epoch: headEpoch, seq, nonce } = head;
    const stored = store({
      kind: 'opened',
      key: { epoch, seq: 1, nonce: nonceOf(++this.#world.fresh) },
      predecessor: { epoch: headEpoch, seq, nonce },
      timeMs,
      cells: [],
      changes: [],
    });
    // XADD refuses an id that is not above the last.
    if (comparePlaces(stored.entry.key, topOf(data)) <= 0) return this.end();
    const stream = [...data.stream, stored];
    this.#write({ ...data, open: true, last: stored.entry.key, timeMs, offsetMs, stream });
    return this.#rules.on('registry_first') ? this.end() : this.#is({ step: 'registry' });
  }

  #nothing(): Pick<LaneData, 'last'> {
    return { last: this.#rules.on('reset_position') ? NEVER : this.node.data.last };
  }

  #write(data: LaneData): void {
    write(this.#world, this.#self.node, data);
  }
}

/** Recovery's produce was acknowledged. */
export function onRecoveryProduced(
  world: World,
  index: number,
  key: string,
  last: { epoch: number; seq: number } | undefined,
): void {
  const { flight } = at(world.recoveries, index);
  if (flight !== key) return;
  if (last === undefined) put(world.recoveries, index, { flight: undefined, step: 'fenced' });
  else
    put(world.recoveries, index, { flight: undefined, sent: { epoch: last.epoch, seq: last.seq } });
}
