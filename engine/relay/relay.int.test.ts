/** The relay between a real lane and a real Kafka, with the persister behind it. */
import type { Kafka } from 'kafkajs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPersister } from '../../persister/persister.ts';
import {
  compareCells,
  countEntries,
  sell,
  startStack,
  stockOf,
  TERM,
  type TestStack,
} from '../../persister/testing/stack.ts';
import { TAIL_BYTES } from '../domain/script-limits.ts';
import { connectKafka, ensureTopic } from '../kafka/connect.ts';
import { followDemand } from '../log/demand.ts';
import { createKafkaFencedLog, createKafkaWriter } from '../log/kafka-log.ts';
import { createKafkaSource } from '../log/kafka-source.ts';
import type { LogWriter } from '../log/log-writer.ts';
import type { Place } from '../log/place.ts';
import { readPosition } from '../postgres/position.ts';
import { createDemands } from '../redis/demands.ts';
import { KEYS } from '../redis/testing/test-lane.ts';
import { testKafka } from '../testing/servers.ts';
import { createRelay, type Relay, type RelayOptions } from './relay.ts';

/** Seconds on a busy machine; a wait ends as soon as it may. */
const SOON = { timeout: 20_000, interval: 20 };
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

let kafka: Kafka;
let namespace: string;
let topics = 0;
let topic: string;
let stack: TestStack;
let writer: LogWriter;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const shared = await testKafka();
  namespace = shared.namespace;
  kafka = connectKafka({ brokers: shared.brokers, clientId: 'test', onLog: () => undefined });
});
beforeEach(async () => {
  topic = `${namespace}.relay-${topics++}`;
  await ensureTopic(kafka, { topic, partitions: 1 });
  stack = await startStack({ fenced: false });
  writer = createKafkaWriter({ kafka, topic });
  await writer.fence(0, TERM);
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await writer.close();
  await stack.end();
});

function relay(options: Partial<RelayOptions> = {}): Relay {
  const pool = stack.database.pool;
  return createRelay({ pool, lane: 0, state: stack.state, writer, log: SILENT, ...options });
}

interface Running {
  stop(): Promise<void>;
}

function running(...workers: readonly { run(signal: AbortSignal): Promise<void> }[]): Running {
  const stopping = new AbortController();
  const done = Promise.all(workers.map((each) => each.run(stopping.signal)));
  const stop = async () => {
    stopping.abort();
    await done;
  };
  ends.push(stop);
  return { stop };
}

function persist(): Running {
  const onProblem = () => undefined;
  const source = createKafkaSource({ kafka, topic, lane: 0, name: namespace, onProblem });
  ends.push(() => source.close());
  const { pool } = stack.database;
  const limits = { gatherMs: 5, standbyMs: 20 };
  const deps = { pool, lane: 0, source, form: 'kafka', state: stack.state, log: SILENT } as const;
  return running(createPersister({ ...deps, limits }));
}

async function expectAllArrived(): Promise<void> {
  const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  await expect
    .poll(() => readPosition(stack.database.pool, 0), SOON)
    .toMatchObject({ epoch: last.epoch, seq: last.seq, nonce: last.nonce });
  const { redis, postgres, suspects } = await compareCells(stack);
  expect(postgres).toEqual(redis);
  expect(suspects).toBe(0);
}

async function loggedMark(): Promise<string | null> {
  return stack.redis.hget(KEYS.marks, 'logged');
}

async function lastEntry(): Promise<string> {
  const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  return `${last.epoch} ${last.seq}`;
}

async function expectLogged(): Promise<void> {
  await expect.poll(loggedMark, SOON).toBe(await lastEntry());
}

describe('what is sold', () => {
  it('goes through Kafka to PostgreSQL, once, marked as logged and as persisted', async () => {
    persist();
    running(relay());
    await stack.receive(stockOf(500));
    await sell(stack, 100);
    await expectAllArrived();
    await expectLogged();
    await expect
      .poll(() => stack.redis.hget(KEYS.marks, 'persisted'), SOON)
      .toBe(await lastEntry());
  });

  it('is sent when somebody waits for it, long before the next look is due', async () => {
    persist();
    const subscriber = stack.redis.duplicate();
    ends.push(async () => subscriber.disconnect());
    const demand = followDemand(subscriber, 0, ['logged', 'persisted']);
    running(relay({ demand, limits: { lookEveryMs: 600_000, proveEveryMs: 0 } }));
    await stack.receive(stockOf(100));
    for (const level of ['logged', 'persisted'] as const) {
      await sell(stack, 5);
      const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
      createDemands(stack.redis, 0)(level, last);
      await expectAllArrived();
      // Proven: else the relay would look for its proof, and find the next without being told.
      await expectLogged();
    }
  });

  it('is trimmed from the stream when PostgreSQL has it, but for the last entry', async () => {
    persist();
    running(relay({ limits: { trimEveryMs: 10, trimMarginMs: 0 } }));
    await stack.receive(stockOf(100));
    await sell(stack, 20);
    await expectAllArrived();
    await expect.poll(async () => (await countEntries(stack)).redis, SOON).toBe(1);
  });

  it('stays in the stream for a while, for who follows it there', async () => {
    persist();
    const trims = vi.spyOn(stack.state, 'trim');
    running(relay({ limits: { trimEveryMs: 10, trimMarginMs: 600_000 } }));
    await stack.receive(stockOf(100));
    await sell(stack, 20);
    await expectAllArrived();
    const trimmed = trims.mock.calls.length;
    await expect.poll(() => trims.mock.calls.length, SOON).toBeGreaterThan(trimmed + 1);
    const { redis, postgres } = await countEntries(stack);
    expect(postgres).toBeGreaterThan(1);
    expect(redis).toBeGreaterThanOrEqual(postgres);
  });

  it('is applied once, and marked, when two relays send it', async () => {
    persist();
    let unproven = 0;
    const metrics = {
      sent: () => undefined,
      failed: () => undefined,
      unproven: () => {
        unproven++;
      },
    };
    running(relay({ metrics }), relay({ metrics }));
    await stack.receive(stockOf(1_000));
    await sell(stack, 200);
    await expectAllArrived();
    await expectLogged();
    // Each found the other's records between its own.
    expect(unproven).toBeGreaterThan(2);
  });
});

describe('a record counts as logged', () => {
  it('not before PostgreSQL has shown that no fence stands before it', async () => {
    await stack.receive(stockOf(10));
    const worker = relay();
    expect(await worker.runOnce()).toMatchObject({ did: 'sent' });
    expect(await worker.runOnce()).toEqual({ did: 'idle' });
    expect(await loggedMark()).toBeNull();
    persist();
    await expect
      .poll(async () => [await worker.runOnce(), await loggedMark()][1], SOON)
      .toBe(await lastEntry());
  });

  it('at once behind one that does, also while PostgreSQL is away', async () => {
    const persisting = persist();
    const worker = running(relay());
    await stack.receive(stockOf(10));
    await expectLogged();
    await persisting.stop();
    await sell(stack, 5);
    await expectLogged();
    await worker.stop();
    // A relay that starts now has nothing to prove itself by.
    const before = await loggedMark();
    const next = relay();
    await sell(stack, 1);
    await next.runOnce();
    await next.runOnce();
    expect(await loggedMark()).toBe(before);
    persist();
    running(next);
    await expectLogged();
    await expectAllArrived();
  });

  it('never under a term that a fence has ended: what it sends is void', async () => {
    persist();
    const zombie = relay();
    await stack.receive(stockOf(10));
    await expect
      .poll(async () => [await zombie.runOnce(), await loggedMark()][1], SOON)
      .toBe(await lastEntry());
    const before = await loggedMark();
    const position = await readPosition(stack.database.pool, 0);
    await createKafkaFencedLog(writer).fence(0, TERM + 1);
    // Its engine goes on selling on a node that nobody has told yet.
    await sell(stack, 3);
    expect(await zombie.runOnce()).toMatchObject({ did: 'sent' });
    await expect
      .poll(() => readPosition(stack.database.pool, 0), SOON)
      .toMatchObject({ term: TERM + 1, epoch: position.epoch, seq: position.seq });
    await zombie.runOnce();
    await sell(stack, 3);
    await zombie.runOnce();
    expect(await loggedMark()).toBe(before);
    expect(await readPosition(stack.database.pool, 0)).toMatchObject({ seq: position.seq });
  });
});

describe('the relay is silent', () => {
  it('while the lane is closed, and begins at PostgreSQL’s position at the new term', async () => {
    persist();
    const worker = relay();
    running(worker);
    await stack.receive(stockOf(100));
    await expectLogged();
    await expectAllArrived();
    const claim = await stack.state.claim(TERM + 1);
    if (!claim.claimed) throw new Error('a newer claim stands');
    expect(await relay().runOnce()).toMatchObject({ did: 'silent' });
    const fenced = createKafkaFencedLog(writer);
    await fenced.fence(0, TERM + 1);
    await expect
      .poll(() => readPosition(stack.database.pool, 0), SOON)
      .toMatchObject({ term: TERM + 1 });
    const head = await readPosition(stack.database.pool, 0);
    await stack.state.open(TERM + 1, claim.replid, head, Buffer.alloc(8, 3), claim.timeMs);
    await sell(stack, 10);
    await expectAllArrived();
    await expectLogged();
    expect(await readPosition(stack.database.pool, 0)).toMatchObject({ epoch: TERM + 1 });
  });

  it('when the stream does not continue what PostgreSQL has', async () => {
    await stack.receive(stockOf(10));
    await stack.database.pool.query('UPDATE positions SET nonce = $1', [Buffer.alloc(8, 9)]);
    const told: string[] = [];
    const log = { ...SILENT, error: (_: unknown, message?: string) => told.push(message ?? '') };
    const worker = relay({ log: log as RelayOptions['log'] });
    const why = /^the stream goes on at \d+-1, which does not follow PostgreSQL's position 0-0$/;
    expect(await worker.runOnce()).toEqual({ did: 'silent', why: expect.stringMatching(why) });
    // Once may be two looks at a moving position; twice is told.
    expect(told).toEqual([]);
    expect((await worker.runOnce()).did).toBe('silent');
    expect(told).toEqual([expect.stringMatching(why)]);
  });
});

it('goes on at once where more stands than it may read at a time', async () => {
  persist();
  await stack.receive(stockOf(100));
  await sell(stack, 8);
  // Whoever pauses after a full read is not back within this test.
  running(relay({ limits: { entriesMax: 3, gatherMs: 600_000, lookEveryMs: 600_000 } }));
  await expectAllArrived();
});

it('goes on at once behind a read that is full by its bytes', async () => {
  const { epoch, seq } = await readPosition(stack.database.pool, 0);
  const last = await stack.state.tail({ epoch, seq }, 1);
  const great = (at: number) => ({ epoch: TERM, seq: at, bytes: Buffer.alloc(TAIL_BYTES) });
  const appended: number[] = [];
  const worker = relay({
    state: {
      mark: async () => undefined,
      trim: async () => 0,
      tail: async (after) => ({
        ...last,
        entries: after.seq < seq + 5 ? [great(after.seq + 1)] : [],
      }),
    },
    writer: {
      ...writer,
      append: async (_lane, _term, values) => BigInt(appended.push(values.length) - 1),
    },
    // Whoever pauses behind the first is not back within this test.
    limits: { gatherMs: 600_000, demandedMs: 600_000, lookEveryMs: 600_000 },
  });
  running(worker);
  await expect.poll(() => appended, SOON).toEqual([1, 1, 1, 1, 1]);
});

describe('a watermark is published', () => {
  interface Marking {
    readonly marks: Place[];
    readonly worker: Relay;
  }

  /** A relay whose marks wait for `before`. */
  function marking(before: () => Promise<void>): Marking {
    const { state } = stack;
    const marks: Place[] = [];
    const worker = relay({
      state: {
        tail: (after, entriesMax) => state.tail(after, entriesMax),
        trim: (persisted, marginMs) => state.trim(persisted, marginMs),
        async mark(level, at) {
          marks.push(at);
          await before();
          await state.mark(level, at);
        },
      },
    });
    return { marks, worker };
  }

  async function untilMarks({ marks, worker }: Marking, count: number): Promise<void> {
    await expect.poll(async () => [await worker.runOnce(), marks.length][1], SOON).toBe(count);
  }

  it('once for a place, however often the relay looks meanwhile', async () => {
    persist();
    await stack.receive(stockOf(10));
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const made = marking(() => gate);
    await untilMarks(made, 1);
    for (let i = 0; i < 3; i++) await made.worker.runOnce();
    goOn();
    await expectLogged();
    for (let i = 0; i < 3; i++) await made.worker.runOnce();
    expect(made.marks).toHaveLength(1);
  });

  it('again when that failed', async () => {
    persist();
    await stack.receive(stockOf(10));
    let failures = 2;
    const made = marking(async () => {
      if (failures-- > 0) throw new Error('Redis is away');
    });
    await untilMarks(made, 3);
    await expectLogged();
  });
});

it('sends again what may not have landed, and goes on', async () => {
  persist();
  let failures = 3;
  const unsure: LogWriter = {
    ...writer,
    // Acknowledged by Kafka, and the answer lost on the way.
    append: async (lane, term, entries) => {
      const offset = await writer.append(lane, term, entries);
      if (failures-- > 0) throw new Error('connection lost');
      return offset;
    },
  };
  running(relay({ writer: unsure, limits: { backoff: { firstMs: 1, maxMs: 5 } } }));
  await stack.receive(stockOf(100));
  await sell(stack, 20);
  await expectAllArrived();
  await expectLogged();
  expect(failures).toBeLessThan(0);
});
