/**
 * What one caller of the load generator sends, request after request. A caller has one request under
 * way at a time; what it sends next may follow from what it was answered.
 */

export interface FlowRequest {
  /** The whole HTTP/1.1 request, head and body. */
  readonly bytes: Buffer;
  /** Under which its latency is recorded: `reserve`. */
  readonly label: string;
}

export interface FlowAnswer {
  readonly status: number;
  /** Parsed when it is asked for: most flows look at the status alone. */
  body(): unknown;
}

export interface Flow {
  /** Undefined answer: of its first request. Undefined request: this caller has nothing more to send. */
  next(answer: FlowAnswer | undefined): FlowRequest | undefined;
}
