/** A lane on a real Redis, opened as recovery opens it: what the tests of this folder work on. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../domain/ids.ts';
import { IdMaker } from '../../domain/reservation-id.ts';
import { SCRIPT_WORK_MAX } from '../../domain/script-limits.ts';
import { ByteReader } from '../../events/bytes.ts';
import { type Entry, NEVER } from '../../events/entry.ts';
import { decodeEntry } from '../../events/entry-codec.ts';
import { Line } from '../../runtime/line.ts';
import { startRedis, type TestRedis } from '../../testing/servers.ts';
import { connectRedis, whenReady } from '../connect.ts';
import { laneKeys } from '../keys.ts';
import { createLane, type RunningLane } from '../lane.ts';
import type { AvailabilityResult, Lane, OperationAnswer } from '../lane-port.ts';
import { laneScripts } from '../lane-scripts.ts';
import type { LaneState } from '../lane-state.ts';
import type {
  FenceReason,
  Operation,
  OperationResult,
  ReserveOperation,
  Retake,
  SettleOperation,
  StockOperation,
} from '../operation.ts';
import {
  type BatchAnswers,
  BatchEncoder,
  encodeContext,
  isFenced,
  readAnswers,
  readStamp,
} from '../operation-codec.ts';
import { scriptRunner } from '../script.ts';
import { wholeLog } from './whole-log.ts';

export const TERM = 2 ** 32 + 1;
export const KEYS = laneKeys(0);
const HOLD_AGE_MAX_S = 7_200;

export interface TestLane {
  readonly server: TestRedis;
  readonly replicas: readonly TestRedis[];
  readonly redis: Redis;
  readonly state: LaneState;
  readonly lane: RunningLane;
  /** Of all lanes that are made here. */
  readonly line: Line;
  readonly ids: IdMaker;
  readonly fences: FenceReason[];
  connectLane(): RunningLane;
  submit(operation: Operation, lane?: Lane): Promise<OperationResult>;
  receive(units: Record<string, number>): Promise<void>;
  cells(sku: string): Promise<Record<string, number[]>>;
  entries(): Promise<Entry[]>;
  /** Moves lane time, as a clock would. */
  passSeconds(seconds: number): Promise<void>;
  stop(): Promise<void>;
}

export interface TestLaneOptions {
  /** Attached before the lane is opened. */
  readonly replicas?: number;
  /** Further settings of the Redis and its replicas. */
  readonly args?: readonly string[];
  /** How long Redis waits for a level that it confirms; without it none can be asked for. */
  readonly waitMsMax?: number;
  /** Where those connections go instead: through a proxy. */
  readonly waitUrl?: (server: TestRedis) => Promise<string>;
}

export async function startTestLane(options: TestLaneOptions = {}): Promise<TestLane> {
  const args = options.args ?? [];
  const server = await startRedis({ args });
  const replicas = await Promise.all(
    Array.from({ length: options.replicas ?? 0 }, () =>
      startRedis({ args: [...args, '--replicaof', '127.0.0.1', String(server.port)] }),
    ),
  );
  const connect = (url = server.url) =>
    connectRedis({ url, name: 'test', onError: () => undefined });
  const redis = connect();
  await whenReady(redis, 5_000);
  await attached(redis, replicas.length);
  const waitUrl = (await options.waitUrl?.(server)) ?? server.url;
  const confirming = options.waitMsMax !== undefined && {
    connect: () => connect(waitUrl),
    replicas: replicas.length,
    waitMsMax: options.waitMsMax,
  };
  const state = laneScripts(redis, 0);
  const fences: FenceReason[] = [];
  const lanes: RunningLane[] = [];
  const line = new Line();
  const connectLane = (): RunningLane => {
    const made = createLane({
      redis,
      number: 0,
      line,
      ...(confirming && { confirming }),
      limits: {
        batchOperationsMax: 512,
        batchLinesMax: SCRIPT_WORK_MAX,
        queueWaitMsMax: 10_000,
        holdAgeSMax: HOLD_AGE_MAX_S,
      },
      hooks: {
        onBatch: () => undefined,
        onFenced: (reason) => fences.push(reason),
        onStoreError: () => undefined,
        onUnreadable: () => undefined,
      },
    });
    lanes.push(made);
    return made;
  };
  await open(state, TERM);
  const lane = connectLane();
  const ids = new IdMaker(randomBytes);
  return {
    server,
    replicas,
    redis,
    state,
    lane,
    line,
    ids,
    fences,
    connectLane,
    submit: (operation, on = lane) =>
      new Promise<OperationAnswer>((resolve) =>
        on.submit(operation, resolve),
      ) as Promise<OperationResult>,
    async receive(units) {
      const lines = Object.entries(units).map(([at, delta]) => {
        const [sku, field] = at.split('@');
        return { sku: sku as Sku, field: field as CellField, delta };
      });
      await lane.defineProducts(lines.map(({ sku }) => sku));
      const result = await lane.stock(stockOperation(ids.make(lane.nowMs(), 0), lines));
      if (result.outcome !== 'applied') throw new Error(`receive: ${JSON.stringify(result)}`);
    },
    async cells(sku) {
      const view = (await lane.availability([sku as Sku])) as AvailabilityResult;
      const cells = view.skus[0]?.cells ?? [];
      return Object.fromEntries(
        cells.map((c) => [c.field, [c.available, c.reserved, c.allocated]]),
      );
    },
    async entries() {
      return (await wholeLog(state)).map((bytes) => decodeEntry(bytes));
    },
    async passSeconds(seconds) {
      await redis.hincrby(KEYS.meta, 'offset', seconds * 1_000);
    },
    async stop() {
      for (const each of lanes) each.close();
      redis.disconnect();
      // By force: some are paused, and no data is kept.
      await Promise.all([server, ...replicas].map((each) => each.kill('SIGKILL')));
    },
  };
}

const ATTACH_MS_MAX = 30_000;

async function attached(redis: Redis, replicas: number): Promise<void> {
  const isOnline = /^slave\d+:.*state=online/gm;
  const deadline = performance.now() + ATTACH_MS_MAX;
  while (((await redis.info('replication')).match(isOnline)?.length ?? 0) < replicas) {
    if (performance.now() > deadline) throw new Error('the replicas do not attach');
    await sleep(20);
  }
}

/** One batch as an engine sends it now; `arrive` runs it, whenever that is. */
export function prepareBatch(t: TestLane, operations: readonly Operation[]) {
  const sending = { epoch: TERM, timeMs: t.lane.nowMs(), atMs: performance.now() };
  const batch = new BatchEncoder(0).encode(operations, sending);
  const seen = { seenEpoch: TERM, seenSeq: 0, nonce: randomBytes(8), number: HOLD_AGE_MAX_S };
  const args = [encodeContext(seen), ...batch.payload];
  const arrive = async (script: 'submit' | 'settle'): Promise<BatchAnswers> => {
    const reply = (await scriptRunner(t.redis)(script, KEYS.meta, args)) as Buffer;
    const reader = new ByteReader(reply);
    const stamp = readStamp(reader);
    if (isFenced(stamp)) throw new Error(`fenced: ${stamp.fenced}`);
    return readAnswers(reader, stamp, batch);
  };
  return { batch, arrive };
}

/** Claims the lane as it is and opens it behind its own last entry. */
export async function open(state: LaneState, term: number): Promise<void> {
  const claim = await state.claim(term);
  if (!claim.claimed) throw new Error(`term ${claim.term} stands`);
  const head = claim.last.seq === 0 ? NEVER : claim.last;
  await state.open(term, claim.replid, head, randomBytes(8), claim.timeMs);
}

export const FINGERPRINT = Buffer.from('12345678');

export function reserve(
  id: Buffer,
  lines: Record<string, number>,
  more: Partial<ReserveOperation> = {},
): ReserveOperation {
  return {
    kind: 'reserve',
    id,
    fresh: false,
    fingerprint: FINGERPRINT,
    ttlS: 600,
    partial: false,
    split: true,
    attributes: '',
    lines: Object.entries(lines).map(([at, quantity]) => {
      const [sku, fields] = at.split('@');
      return {
        sku: sku as Sku,
        quantity,
        fields: (fields === undefined ? [] : fields.split(',')) as CellField[],
      };
    }),
    ...more,
  };
}

export function settle(
  kind: SettleOperation['kind'],
  id: Buffer,
  lines?: Record<string, number>,
  more: Partial<SettleOperation> = {},
): SettleOperation {
  return {
    kind,
    id,
    attributes: '',
    ...(lines && {
      lines: Object.entries(lines).map(([at, quantity]) => {
        const [sku, field = ''] = at.split('@');
        return { sku: sku as Sku, field: field as CellField, quantity };
      }),
    }),
    ...more,
  };
}

/** A commit that may take the units of a gone hold again, for as long as a test may take. */
export function retaking(
  id: Buffer,
  lines: Record<string, number>,
  more: Partial<Retake> = {},
): SettleOperation {
  const untilMs = performance.now() + RETAKE_MS_MAX;
  const retake = { holdEpoch: 1, fingerprint: FINGERPRINT, untilMs, ...more };
  return settle('commit', id, lines, { retake, commitFingerprint: 3 });
}

const RETAKE_MS_MAX = 60_000;

export function stockOperation(
  id: Buffer,
  lines: StockOperation['lines'],
  more: Partial<StockOperation> = {},
): StockOperation {
  return {
    kind: 'receive',
    id,
    fresh: false,
    fingerprint: FINGERPRINT,
    attributes: '{}',
    lines,
    ...more,
  };
}
