/**
 * What one caller of the load generator sends, request after request. A caller has one request under
 * way at a time; what it sends next may follow from what it was answered. The flows themselves are
 * in flows/, their names in flows.ts.
 */

export interface FlowRequest {
  /** The whole HTTP/1.1 request, head and body; not to be changed until it is answered. */
  readonly bytes: Buffer;
  /** Under which its latency is recorded: `reserve`. A few in all, each has a histogram. */
  readonly label: string;
  /**
   * Closed loop: not before, in ms since the load began, and its latency counts from then. Absent:
   * at once. An open loop has its own times.
   */
  readonly dueMs?: number;
}

export interface FlowAnswer {
  /** 0: no answer in time; what was asked may have been done. */
  readonly status: number;
  /** When it came, ms since the load began. */
  readonly atMs: number;
  /** As it came, latin1: of what stands in it, a flow that looks for an id need not parse the rest. */
  text(): string;
  /** Parsed when it is asked for: most flows look at the status alone. */
  body(): unknown;
}

export interface Flow {
  /**
   * Undefined answer: of its first request. Undefined request: this caller has nothing more to send.
   *
   * It is called as soon as the answer is there, so a flow hears every answer; what it returns may
   * wait for the time at which it is due, and is never sent when the load ends before.
   */
  next(answer: FlowAnswer | undefined): FlowRequest | undefined;
}

/** What the callers of a stream have in common. */
export interface FlowSource {
  /** Of the caller with this number, from 0. */
  caller(index: number): Flow;
  /** What the answers said, for the audit: `{ heldUnits: 81_204 }`. */
  tally?(): Readonly<Record<string, number>>;
}

/** Where the requests go, and how many callers share them. */
export interface FlowTarget {
  readonly host: string;
  readonly port: number;
  readonly callers: number;
}
