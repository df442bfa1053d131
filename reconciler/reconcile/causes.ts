/** Every cause that a difference can be named by: what proves it, which side is right, what is done. */
export const CAUSES = {
  manual_edit: {
    proof: 'one store says other than the other and the ledger, at the same version or a later one',
    repair: 'the store that stands alone gets what the other two say',
  },
  stale_cell: {
    proof:
      'Redis has an older version of the cell than PostgreSQL had before; the ledger backs PostgreSQL',
    repair: 'the cell gets the balances that the log made of it',
  },
  stale_hold: {
    proof: 'Redis has an older state or version of the record; the ledger backs PostgreSQL',
    repair: 'the record, and its deadline, as the log made it',
  },
  lost_write: {
    proof:
      'PostgreSQL applied every entry, yet its row is older than Redis; the ledger backs Redis',
    repair: 'the row gets what Redis has, by the log',
  },
  lost_row: {
    proof: 'the ledger knows the cell or the reservation as Redis has it, its row is gone',
    repair: 'the row is made again, by the log',
  },
  missing_cell: {
    proof: 'the ledger has units of a cell that Redis does not have',
    repair: 'the cell is made again',
  },
  missing_product: {
    proof: 'one store does not know that the SKU was defined, the other does',
    repair: 'it is defined again, by the log',
  },
  missing_hold: {
    proof: 'a live hold of PostgreSQL, backed by the ledger, is not in Redis in two looks',
    repair: 'the record and its deadline are made again',
  },
  missing_record: {
    proof: 'a record that a retry within the idempotency window would ask for is not in Redis',
    repair: 'the record is made again',
  },
  missing_expiry: {
    proof: 'no deadline names a live hold: nobody would ever give its units back',
    repair: 'a deadline is added',
  },
  orphan_hold: {
    proof: 'Redis has a live hold that no entry of the log made, and no movement names it',
    repair: 'the record is removed; it has no units in any balance of the ledger',
  },
  orphan_record: {
    proof: 'Redis has a record, not a live hold, that no entry of the log made',
    repair: 'the record is removed',
  },
  orphan_due: {
    proof:
      'a deadline names an id that neither store knows, or stands in a second that nobody looks at',
    repair: 'the reference is taken out; the second is put among the deadlines',
  },
  orphan_cell: {
    proof: 'Redis has a cell that neither PostgreSQL nor any movement knows',
    repair: 'the cell is removed',
  },
  phantom_row: {
    proof:
      'PostgreSQL has a row that no entry made and no movement backs, and Redis does not know it',
    repair: 'the row is deleted, if it still is as it was seen',
  },
  double_apply: {
    proof:
      'rows of the ledger that no entry made, or that stand twice, are exactly what it is off by',
    repair: 'a movement back for each of them: the ledger itself is never changed',
  },
  lost_movement: {
    proof:
      'balances and the lines of reservations agree, the ledger lacks a movement within the cell',
    repair: 'the movement is written again',
  },
  balance_drift: {
    proof: 'both stores are off the ledger by the same units, and the persister saw the jump',
    repair: 'both balances move to the ledger, whatever is sold meanwhile',
  },
  stale_mark: {
    proof:
      'a cell is marked suspect, and Redis, PostgreSQL, the ledger and the lines agree on it again',
    repair: 'the mark is taken off, if the row still is as it was seen',
  },
  unreadable_record: {
    proof: 'bytes in Redis that no version of the format reads; the ledger backs PostgreSQL',
    repair: 'what PostgreSQL has of it',
  },
  ledger_mismatch: {
    proof: 'balances are off the ledger, and nothing tells which of them is right',
    repair: 'none: a person decides',
  },
  hold_sum_mismatch: {
    proof:
      'the units of live holds or of orders are not the sum that the cell has; all else agrees',
    repair: 'none: a person decides',
  },
  undecided: {
    proof: 'the stores differ, and the ledger backs none of them',
    repair: 'none: a person decides',
  },
} as const satisfies Readonly<Record<string, { proof: string; repair: string }>>;

export type Cause = keyof typeof CAUSES;
export const CAUSE_NAMES = Object.keys(CAUSES) as readonly Cause[];
