/** The world at virtual time 0: one epoch, open everywhere, stock received, nothing sold. */

import { packTerm } from '../../../reconciler/term.ts';
import { asReservation, cellField } from '../../domain/ids.ts';
import { NEVER } from '../../events/entry.ts';
import { EMPTY_LANE, skuOf, store, WAREHOUSE } from './lane-model.ts';
import { prepare } from './persister-model.ts';
import { commit } from './postgres-model.ts';
import { IDLE_RECOVERY } from './recovery-model.ts';
import { IDLE_RELAY } from './relay-model.ts';
import { makeRules } from './rules.ts';
import {
  type ClientPlan,
  type Config,
  type LaneData,
  nonceOf,
  type Pg,
  type RedisNode,
  type StoredEntry,
  WALL_START_MS,
  type World,
} from './world.ts';

const TERM = packTerm(1, 1);
const NEVER_MARKED = { epoch: 0, seq: 0 };

export function initialWorld(config: Config, plans: readonly ClientPlan[]): World {
  const stream = firstEntries(config.units);
  const data = firstData(config.units, stream);
  const nodes = Array.from({ length: config.nodes }, (_, i) => firstNode(i, config.nodes, data));
  const log = stream.map((stored) => ({ term: TERM, stored }));
  const pg = firstPg(config, stream);
  const start = { epoch: TERM, seq: 2 };
  const fill = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
  const worker = { node: 0, paused: false };
  return {
    config,
    plans,
    now: 0,
    nodes,
    primary: 0,
    promotedAt: 0,
    sides: fill(config.nodes, 0),
    waits: [],
    log: config.form === 'kafka' ? log : [],
    kafkaUp: true,
    pg,
    pgUp: true,
    standby: pg,
    standbyFollows: true,
    pgLost: false,
    clockSetBack: false,
    relays: fill(config.form === 'kafka' ? config.relays : 0, { ...IDLE_RELAY, ...worker }),
    persisters: fill(config.persisters, { ...worker, flight: undefined }),
    recoveries: fill(config.recoveries, { ...IDLE_RECOVERY, ...worker }),
    engines: fill(config.engines, {
      side: 0,
      node: 0,
      seen: start,
      laneTime: undefined,
      queue: [],
      waits: [],
      asks: [],
      marks: { logged: NEVER_MARKED, persisted: NEVER_MARKED },
    }),
    clients: plans.map(({ engine, startAt }) => ({
      verb: 'reserve',
      attempt: 0,
      sends: 0,
      sentAt: 0,
      busy: false,
      engine,
      notBefore: startAt,
      holdEpoch: TERM,
    })),
    messages: [],
    doomed: [],
    facts: [],
    interrupt: undefined,
    polite: config.polite,
    opened: [TERM],
    laneTimeMax: WALL_START_MS,
    fresh: 100,
    lives: 100,
    faults: 0,
    crashes: 0,
    wrong: undefined,
  };
}

function firstEntries(units: readonly number[]): StoredEntry[] {
  const key = { epoch: TERM, seq: 1, nonce: nonceOf(1) };
  const timeMs = WALL_START_MS;
  const opened = {
    kind: 'opened',
    key,
    predecessor: NEVER,
    timeMs,
    cells: [],
    changes: [],
  } as const;
  const received = {
    kind: 'batch',
    key: { epoch: TERM, seq: 2, nonce: nonceOf(2) },
    predecessor: key,
    timeMs,
    cells: units.map((available, i) => ({
      sku: skuOf(i),
      field: cellField(WAREHOUSE),
      ...firstCell(available),
    })),
    changes: [
      ...units.map((_, i) => ({ type: 'product_defined', sku: skuOf(i) }) as const),
      {
        type: 'stock_moved',
        id: asReservation('delivery'),
        generation: 0,
        kind: 'receive',
        fingerprint: nonceOf(0),
        attributes: '',
        deltas: units.map((delta, cell) => ({ cell, delta })),
      },
    ],
  } as const;
  return [store(opened), store(received)];
}

function firstCell(available: number) {
  return { available, reserved: 0, allocated: 0, version: 1 };
}

function firstData(units: readonly number[], stream: readonly StoredEntry[]): LaneData {
  return {
    ...EMPTY_LANE,
    exists: true,
    term: TERM,
    open: true,
    replid: 'r1',
    last: stream.at(-1)?.entry.key ?? NEVER,
    timeMs: WALL_START_MS,
    cells: units.map(firstCell),
    stream,
  };
}

/** Replication ids and run ids begin alike on the first primary, so that either may be compared. */
function firstNode(index: number, nodes: number, data: LaneData): RedisNode {
  return {
    up: true,
    hung: false,
    role: index === 0 ? 'primary' : 'replica',
    follows: 0,
    replid: 'r1',
    runid: index === 0 ? 'r1' : `p${index + 1}`,
    data,
    offset: 10,
    acked: Array.from({ length: nodes }, (_, i) => (i === index ? 0 : 10)),
    ackedAt: Array.from({ length: nodes }, (_, i) => (index === 0 && i > 0 ? 0 : undefined)),
    left: [],
    disk: data,
    skewMs: 0,
    dies: false,
    marks: { logged: NEVER_MARKED, persisted: NEVER_MARKED },
    lostAt: undefined,
    lags: false,
  };
}

/** By the product's own consumer. */
function firstPg(config: Config, stream: readonly StoredEntry[]): Pg {
  const rules = makeRules();
  const never = { ...NEVER, term: TERM, offset: 0n, timeMs: 0 };
  const empty: Pg = {
    timeline: 1,
    position: never,
    registry: { term: TERM, state: 'open' },
    cells: [],
    reservations: {},
    entries: [],
    bytes: [],
    suspect: undefined,
  };
  const records = stream.map(({ bytes }, i) => ({
    term: TERM,
    offset: config.form === 'kafka' ? BigInt(i) : 0n,
    entry: bytes,
  }));
  const work = prepare(never, records, config.form, rules);
  const pg = work === undefined ? undefined : commit(empty, work, rules);
  if (pg === undefined) throw new Error('the first entries were not accepted');
  return pg;
}
