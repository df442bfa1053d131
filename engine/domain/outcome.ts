/**
 * Every answer that the engine can give to an operation, in order of precedence: when several
 * apply, the one that stands first is given. This table is the only place that spells them: the
 * script build makes the Lua codes from it, HTTP its problems, the docs their pages, the client its
 * union. Adding a row stops the build wherever it is not yet handled.
 *
 * `replayed`: the same request was applied before; the answer shows the thing as it is now.
 */

interface OutcomeRow {
  /** Byte by which Lua names it; 0 for outcomes that no script gives. Never reused. */
  readonly code: number;
  readonly status: number;
  readonly title: string;
  /** True when the same request may be sent again unchanged and may then succeed. */
  readonly retryable: boolean;
}

export const OUTCOMES = {
  // The store or the engine could not decide: nothing was written, or it is not known whether.
  log_full: row(0, 503, 'The log is full; nothing was changed', true),
  fenced: row(1, 503, 'The lane is closed for recovery; nothing was changed', true),
  overloaded: row(0, 503, 'Too many requests are waiting; nothing was changed', true),
  undecided: row(24, 503, 'Not decided in time; nothing was changed', true),
  store_unavailable: row(0, 503, 'A store failed or did not answer; it may have been done', true),
  durability_unknown: row(0, 503, 'Done, but the durability level was not confirmed in time', true),

  // The request cannot be right, whatever the stock.
  invalid_request: row(0, 400, 'The request is not valid', false),
  durability_unavailable: row(0, 422, 'This deployment cannot give that durability level', false),
  idempotency_key_required: row(0, 400, 'This operation needs an Idempotency-Key', false),
  ids_disagree: row(0, 400, 'reservation_id and Idempotency-Key do not belong together', false),
  id_expired: row(0, 422, 'The reservation id is older than the idempotency window', false),
  exists_with_different_payload: row(2, 422, 'The same id was used with another body', false),
  // Found before any cell is looked at.
  limit_exceeded: row(26, 422, 'The request is beyond a limit; nothing was changed', false),
  unknown_sku: row(3, 404, 'The SKU is not known', false),
  unknown_warehouse: row(4, 404, 'The warehouse is not known for this SKU', false),
  not_found: row(5, 404, 'There is no such reservation', false),
  out_of_range: row(6, 422, 'The balance would leave the range that a cell can count', false),

  // Settlements that another one has won.
  hold_lost: row(7, 409, 'The hold is gone and its units are sold; refund the payment', false),
  expired: row(8, 409, 'The hold has expired', false),
  already_released: row(9, 409, 'The hold was released', false),
  already_committed: row(10, 409, 'The reservation is committed', false),
  already_closed: row(11, 409, 'Every unit was shipped or cancelled', false),
  not_committed: row(12, 409, 'The reservation is not committed', false),
  exceeds_reservation: row(13, 422, 'More units than the reservation has', false),
  extend_limit_reached: row(14, 409, 'The hold has reached its maximum age', false),
  // Whether it could be done cannot be seen.
  unreadable: row(25, 503, 'What it needs of Redis cannot be read; nothing was changed', true),

  insufficient: row(15, 409, 'Not enough units are available', true),

  // Done.
  exists: row(16, 200, 'The reservation exists', false),
  created: row(17, 201, 'Reserved', false),
  committed: row(18, 200, 'Committed', false),
  released: row(19, 200, 'Released', false),
  extended: row(20, 200, 'Extended', false),
  cancelled: row(21, 200, 'Cancelled', false),
  shipped: row(22, 200, 'Shipped', false),
  applied: row(23, 200, 'Applied', false),
} as const satisfies Record<string, OutcomeRow>;

export type OutcomeName = keyof typeof OUTCOMES;

function row(code: number, status: number, title: string, retryable: boolean): OutcomeRow {
  return { code, status, title, retryable };
}

/** Outcomes that a script gives, by their byte. */
export function outcomeByCode(code: number): OutcomeName | undefined {
  return BY_CODE.get(code);
}

const BY_CODE: ReadonlyMap<number, OutcomeName> = new Map(
  (Object.entries(OUTCOMES) as [OutcomeName, OutcomeRow][])
    .filter(([, { code }]) => code > 0)
    .map(([name, { code }]) => [code, name]),
);
