/**
 * Fills a migrated database with a shop's live holds, in the exact form that the persister writes:
 * a simulated lane decides, its entries go through the persister. Nothing of it is in Redis.
 */
import { randomBytes } from 'node:crypto';
import { asSku } from '../../engine/domain/ids.ts';
import { IdMaker, unpackId } from '../../engine/domain/reservation-id.ts';
import { encodeEntry } from '../../engine/events/entry-codec.ts';
import type { LogRecord, LogSource } from '../../engine/log/event-log.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { createPersister } from '../../persister/persister.ts';
import { at, SimulatedLane } from '../../persister/testing/simulated-lane.ts';

export interface Seeded {
  readonly holds: number;
  /** Spread over the holds; each has units left. */
  readonly cells: number;
  /** Lines of every tenth hold; the others have one. */
  readonly linesMax: number;
}

const TERM = 1;
const PER_ENTRY = 512;
const RECORDS_MAX = 16;
const HOLD_S = 3_600;

/** The lane stands at its last hold afterwards, never opened in this registry. */
export async function seedHolds(pool: Pool, seeded: Seeded): Promise<void> {
  const persister = createPersister({
    pool,
    lane: 0,
    source: sourceOf(makeLog(seeded)),
    form: 'kafka',
    state: { mark: async () => undefined, trim: async () => 0 },
    log: console,
    limits: { gatherMs: 0, idleMs: 0 },
  });
  try {
    while ((await persister.runOnce()).did === 'applied');
  } finally {
    await persister.close();
  }
}

/** Records are made as they are read, so that a million holds are never in memory together. */
function* makeLog({ holds, cells, linesMax }: Seeded): Generator<Buffer> {
  const lane = new SimulatedLane({ timeMs: Date.now() });
  const ids = new IdMaker(randomBytes);
  const cell = (i: number, quantity: number) => ({
    sku: asSku(`SKU-${String(i % cells).padStart(7, '0')}`),
    field: at('LON'),
    quantity,
  });
  const units = Math.ceil((2 * holds * linesMax) / cells) + 1;
  yield encodeEntry(lane.open(TERM));
  for (let from = 0; from < cells; from += PER_ENTRY) {
    const some = Array.from({ length: Math.min(PER_ENTRY, cells - from) }, (_, i) => from + i);
    for (const i of some) lane.define(cell(i, 0).sku);
    lane.moveStock(
      `opening-${from}`,
      'receive',
      some.map((i) => cell(i, units)),
    );
    yield encodeEntry(lane.batch());
  }
  for (let made = 0; made < holds; ) {
    lane.timeMs += 6;
    for (let i = 0; i < PER_ENTRY && made < holds; i++, made++) {
      const lines = Array.from({ length: made % 10 === 0 ? linesMax : 1 }, (_, line) =>
        cell(made * 7 + line, 1),
      );
      const isMade = lane.reserve(unpackId(ids.make(lane.timeMs, 0)), lines, HOLD_S);
      if (!isMade) throw new Error(`hold ${made} was refused`);
    }
    yield encodeEntry(lane.batch());
    // The simulated lane keeps all that it ever did; here nobody asks.
    lane.reservations.clear();
  }
}

function sourceOf(log: Generator<Buffer>): LogSource {
  let offset = 0n;
  return {
    read: async () => {
      const records: LogRecord[] = [];
      while (records.length < RECORDS_MAX) {
        const { value, done } = log.next();
        if (done === true) break;
        records.push({ term: TERM, offset: offset++, entry: value });
      }
      return records;
    },
    close: async () => undefined,
  };
}
