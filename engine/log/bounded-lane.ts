/** A lane that refuses, before anything is queued or sent, what would lengthen a log that is full. */
import type { RunningLane } from '../redis/lane.ts';
import type { LaneRefusal } from '../redis/lane-port.ts';
import type { LaneRequest } from './backlog.ts';
import type { BacklogGate } from './backlog-watch.ts';

export function boundLane(lane: RunningLane, gate: BacklogGate): RunningLane {
  const refusal = (request: LaneRequest): LaneRefusal | undefined =>
    gate.refusal(request, lane.seen());
  return {
    ...lane,
    submit(operation, done, level) {
      const refused = refusal(operation.kind);
      if (refused === undefined) lane.submit(operation, done, level);
      else setImmediate(done, refused);
    },
    stock: async (operation) => refusal('stock') ?? lane.stock(operation),
    defineProducts: async (skus) => refusal('stock') ?? lane.defineProducts(skus),
    expire: async (recordsMax) => refusal('expire') ?? lane.expire(recordsMax),
  };
}
