/**
 * The lane of an engine whose Redis may be away when it starts. Until `attach` gives it the real one,
 * which needs to know how many replicas the deployment has, it answers what a lane without Redis
 * answers; afterwards it only hands on.
 */
import type { ConfirmedWaits } from './confirmed-scripts.ts';
import type { RunningLane } from './lane.ts';
import type { LaneRefusal } from './lane-port.ts';

export interface LateLane extends RunningLane {
  readonly confirmed: ConfirmedWaits;
  /** Once. */
  attach(lane: RunningLane): void;
}

const AWAY: LaneRefusal = {
  outcome: 'store_unavailable',
  detail: 'Redis cannot be reached.',
  retryAfterMs: 1_000,
};

export function createLateLane(number: number): LateLane {
  let lane: RunningLane | undefined;
  let isClosed = false;
  return {
    number,
    nowMs: () => lane?.nowMs() ?? Date.now(),
    seen: () => lane?.seen() ?? { epoch: 0, seq: 0, timeMs: Date.now(), offsetMs: 0 },
    queued: () => lane?.queued() ?? 0,
    traffic: {
      get waiting() {
        return lane?.traffic.waiting ?? 0;
      },
      get decided() {
        return lane?.traffic.decided ?? 0;
      },
    },
    submit(operation, done, level) {
      if (lane === undefined) setImmediate(done, AWAY);
      else lane.submit(operation, done, level);
    },
    stock: async (operation) => (lane === undefined ? AWAY : lane.stock(operation)),
    availability: async (skus) => (lane === undefined ? AWAY : lane.availability(skus)),
    defineProducts: async (skus) => (lane === undefined ? AWAY : lane.defineProducts(skus)),
    drop: async (...piece) => (lane === undefined ? AWAY : lane.drop(...piece)),
    expire: async (workMax) => (lane === undefined ? AWAY : lane.expire(workMax)),
    confirmed: {
      wait(level, stamp, done) {
        if (lane?.confirmed === undefined) done(false);
        else lane.confirmed.wait(level, stamp, done);
      },
      waiting: () => lane?.confirmed?.waiting() ?? 0,
    },
    close() {
      isClosed = true;
      lane?.close();
    },
    attach(real) {
      lane = real;
      if (isClosed) real.close();
    },
  };
}
