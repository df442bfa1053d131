/** Why units came or went; reports group the ledger by these words. */
export const RECEIVE_REASONS = [
  'opening_balance',
  'purchase',
  'production',
  'customer_return',
  'other',
] as const;
export type ReceiveReason = (typeof RECEIVE_REASONS)[number];

export const ADJUST_REASONS = [
  'cycle_count',
  'correction',
  'damage',
  'expiry',
  'found',
  'loss',
  'sample',
  'theft',
  'other',
] as const;
export type AdjustReason = (typeof ADJUST_REASONS)[number];
