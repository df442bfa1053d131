/** A lane without HTTP before it: opened on an emptied Redis, and kept full of reserves. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import { IdMaker } from '../../engine/domain/reservation-id.ts';
import { NEVER } from '../../engine/events/entry.ts';
import { createLane } from '../../engine/redis/lane.ts';
import type { Lane } from '../../engine/redis/lane-port.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import type { ReserveOperation } from '../../engine/redis/operation.ts';

export interface DrivenLane {
  /** Sends so many reserves of one unit, in full batches; throws when one is not accepted. */
  reserve(count: number): Promise<void>;
  /** Units that stand as reserved in all cells. */
  reserved(): Promise<number>;
  /** Batches and operations since the beginning. */
  sent(): { readonly batches: number; readonly operations: number };
}

const TERM = 2 ** 32 + 1;
const LANE = 0;
const FIELD = 'A' as CellField;
const FINGERPRINT = Buffer.from('12345678');
const TTL_S = 3_600;
/** Two batches are in flight, one is gathered, and one more so that none goes out short. */
const BATCHES_WAITING = 4;
const UNITS = 1_000_000_000;

/** The Redis is emptied: it must be the bench's own. */
export async function driveLane(
  redis: Redis,
  options: { readonly batch: number; readonly skus: number },
): Promise<DrivenLane> {
  await redis.flushall('SYNC');
  await openLane(redis);
  let batches = 0;
  let operations = 0;
  const fail = (what: string): never => {
    throw new Error(`the lane refused: ${what}`);
  };
  const lane = createLane({
    redis,
    number: LANE,
    limits: {
      batchOperationsMax: options.batch,
      batchLinesMax: 8_000,
      queueWaitMsMax: 60_000,
      holdAgeSMax: 7_200,
    },
    hooks: {
      onBatch: (_, count) => {
        batches++;
        operations += count;
      },
      onFenced: fail,
      onStoreError: (error) => fail(error.message),
      onUnreadable: ({ kind }) => fail(`a ${kind} cannot be read`),
    },
  });
  const skus = Array.from({ length: options.skus }, (_, i) => `SKU-${i}` as Sku);
  const ids = new IdMaker(randomBytes);
  await receive(lane, ids, skus);
  let next = 0;
  const operation = (): ReserveOperation => ({
    kind: 'reserve',
    id: ids.make(lane.nowMs(), LANE),
    fresh: true,
    fingerprint: FINGERPRINT,
    ttlS: TTL_S,
    partial: false,
    split: true,
    attributes: '',
    lines: [{ sku: skus[next++ % skus.length] ?? ('' as Sku), quantity: 1, fields: [FIELD] }],
  });
  return {
    reserve: (count) => keepFull(lane, count, options.batch * BATCHES_WAITING, operation),
    sent: () => ({ batches, operations }),
    async reserved() {
      const view = await lane.availability(skus);
      if (view.outcome !== 'applied') throw new Error(view.detail);
      return view.skus.flatMap(({ cells }) => cells).reduce((sum, cell) => sum + cell.reserved, 0);
    },
  };
}

async function openLane(redis: Redis): Promise<void> {
  const state = laneScripts(redis, LANE);
  const claim = await state.claim(TERM);
  if (!claim.claimed) throw new Error('the Redis of the bench is claimed by somebody else');
  const opened = await state.open(TERM, claim.replid, NEVER, randomBytes(8), 0);
  if (opened !== 'done') throw new Error(`the lane was not opened: ${opened}`);
}

async function receive(lane: Lane, ids: IdMaker, skus: readonly Sku[]): Promise<void> {
  await lane.defineProducts(skus);
  const received = await lane.stock({
    kind: 'receive',
    id: ids.make(lane.nowMs(), LANE),
    fresh: true,
    fingerprint: FINGERPRINT,
    attributes: '',
    lines: skus.map((sku) => ({ sku, field: FIELD, delta: UNITS })),
  });
  if (received.outcome !== 'applied') throw new Error(`no stock: ${received.outcome}`);
}

function keepFull(
  lane: Lane,
  count: number,
  waiting: number,
  operation: () => ReserveOperation,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    const sendOne = (): void => {
      sent++;
      lane.submit(operation(), ({ outcome }) => {
        answered++;
        if (outcome !== 'created') reject(new Error(`a reserve was answered ${outcome}`));
        else if (sent < count) sendOne();
        else if (answered === count) resolve();
      });
    };
    while (sent < Math.min(waiting, count)) sendOne();
  });
}
