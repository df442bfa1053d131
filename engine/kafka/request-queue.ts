/**
 * Mends kafkajs 2.2.4, which after its first answer looks a thousand times a second, on each
 * connection and for as long as it is open, whether a request waits to be sent: its timer is set to
 * a time that has long passed. That is 3 to 6 % of a core for a client that does nothing. A request
 * that has to wait sets that timer itself, and each answer sends what waits; so while none waits,
 * none is looked for.
 */
import { createRequire } from 'node:module';

interface RequestQueue {
  /** Requests that wait, because too many are in flight or the broker slows us down. */
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
}

/** No part of its interface, so there are no types of it. */
const { prototype: queue }: { readonly prototype: RequestQueue } = createRequire(import.meta.url)(
  'kafkajs/src/network/requestQueue',
);
const schedule = queue.scheduleCheckPendingRequests;

queue.scheduleCheckPendingRequests = function scheduleWhilePending(this: RequestQueue): void {
  if (this.pending.length > 0) schedule.call(this);
};
