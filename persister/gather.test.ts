/** When a batch is closed, on a log that grows as the test says. */
import { describe, expect, it } from 'vitest';
import { asSku } from '../engine/domain/ids.ts';
import { encodeEntry } from '../engine/events/entry-codec.ts';
import { Demand } from '../engine/log/demand.ts';
import type { ConsumerPosition, LogRecord, LogSource } from '../engine/log/event-log.ts';
import { BatchEncoder } from './encode-batch.ts';
import { type Gathered, gather } from './gather.ts';
import { limitsFor, type PersisterLimits } from './limits.ts';
import { SimulatedLane } from './testing/simulated-lane.ts';

const START: ConsumerPosition = { ...new SimulatedLane().last, term: 1, offset: 0n };
const FREE = AbortSignal.abort();
const KEPT = new BatchEncoder(0);

/** A log to which `write` appends; `onRead` runs before each look at it. */
class GrowingLog {
  readonly records: LogRecord[] = [];
  readonly #lane = new SimulatedLane();
  onRead: (reads: number) => void = () => undefined;
  reads = 0;

  readonly source: LogSource = {
    read: async ({ offset }, { recordsMax }) => {
      this.reads += 1;
      this.onRead(this.reads);
      return this.records.slice(Number(offset), Number(offset) + recordsMax);
    },
    close: async () => undefined,
  };

  /** An entry of so many events. */
  write(events = 1): void {
    const isFirst = this.records.length === 0;
    if (!isFirst) for (let i = 0; i < events; i += 1) this.#lane.define(asSku(`SKU-${i}`));
    const entry = isFirst ? this.#lane.open(1) : this.#lane.batch();
    this.records.push({ term: 1, offset: BigInt(this.records.length), entry: encodeEntry(entry) });
  }
}

interface Given {
  readonly dueAt: number;
  readonly freed?: AbortSignal;
  readonly demand?: Demand;
  readonly now?: () => number;
  readonly limits?: Partial<PersisterLimits>;
}

function gathered(
  { source }: GrowingLog,
  { dueAt, freed = FREE, demand = new Demand(), now = () => 0, limits }: Given,
): Promise<Gathered> {
  const all = limitsFor('kafka', { look: { firstMs: 0, maxMs: 0 }, ...limits });
  const closing = { lastAt: dueAt - all.gatherMs, freed };
  return gather(START, closing, { source, form: 'kafka', limits: all, demand, final: KEPT, now });
}

describe('a batch is closed', () => {
  it('at once when it is due, PostgreSQL is free and there is anything', async () => {
    const log = new GrowingLog();
    log.write();
    const { records } = await gathered(log, { dueAt: -1 });
    expect({ records, reads: log.reads }).toEqual({ records: 1, reads: 1 });
  });

  it('without anything when the log is idle', async () => {
    const log = new GrowingLog();
    const { records } = await gathered(log, { dueAt: -1, freed: new AbortController().signal });
    expect({ records, reads: log.reads }).toEqual({ records: 0, reads: 1 });
  });

  it('when it is due, with what came until then', async () => {
    const log = new GrowingLog();
    let time = 0;
    log.onRead = (reads) => {
      log.write();
      time = reads * 10;
    };
    const { records } = await gathered(log, { dueAt: 30, now: () => time });
    expect(records).toBe(3);
  });

  it('sooner when somebody waits for what is in it, with what came until then', async () => {
    const log = new GrowingLog();
    const demand = new Demand();
    let time = 0;
    log.onRead = (reads) => {
      log.write();
      time = reads;
      if (reads === 3) demand.raise({ epoch: 1, seq: 2 });
    };
    const limits = { gatherMs: 600_000, demandedMs: 5 };
    const { records } = await gathered(log, { dueAt: 600_000, now: () => time, demand, limits });
    expect(records).toBe(5);
  });

  it('no sooner for who waits for what the one before brings', async () => {
    const log = new GrowingLog();
    const demand = new Demand();
    demand.raise(START);
    let time = 0;
    log.onRead = (reads) => {
      log.write();
      time = reads * 10;
    };
    const { records } = await gathered(log, { dueAt: 30, now: () => time, demand });
    expect(records).toBe(3);
  });

  it('not while PostgreSQL works on the one before, and then with what came meanwhile', async () => {
    const log = new GrowingLog();
    const freeing = new AbortController();
    log.onRead = (reads) => {
      // The last of them is written after PostgreSQL is free, and before the last look.
      if (reads <= 5) log.write();
      if (reads === 4) freeing.abort();
    };
    const { records } = await gathered(log, { dueAt: -1, freed: freeing.signal });
    expect(records).toBe(4);
    expect(log.records).toHaveLength(4);
  });

  it('while PostgreSQL is busy, when it is full', async () => {
    const log = new GrowingLog();
    log.onRead = () => log.write(4);
    const busy = new AbortController().signal;
    const limits = { eventsMax: 10 };
    const { records, batch } = await gathered(log, { dueAt: -1, freed: busy, limits });
    expect({ records, events: batch.events }).toEqual({ records: 4, events: 12 });
  });

  it('while PostgreSQL is busy, before a record that stops it', async () => {
    const log = new GrowingLog();
    log.onRead = (reads) => {
      log.write();
      if (reads === 3) log.records.push({ term: 1, offset: 3n, entry: Buffer.from('nonsense') });
    };
    const busy = new AbortController().signal;
    const { records, stop } = await gathered(log, { dueAt: -1, freed: busy });
    expect({ records, stop: stop?.kind }).toEqual({ records: 3, stop: 'undecodable' });
  });
});
