/** The rules of the protocol by name, each of which can be switched off: a planted bug. */
export const RULES = {
  fence_record: 'recovery writes a fence under its term before it looks at PostgreSQL',
  void_rule: 'what stands behind a fence under a lower term is void (product: consume)',
  repeat_rule: 'an entry at or below the position is skipped (product: consume)',
  fold_cells: 'a batch leaves the last result of a cell, not its first (product: foldBatch)',
  contiguity: 'a produce counts as logged only when no fence can stand before it',
  replid: 'scripts compare the replication id; the run id outlives a demotion and a promotion',
  causal_token: 'a script refuses an engine that has seen a newer position than meta has',
  majority_recovers: 'a recovery begins only on the node that a majority of the Sentinels names',
  recovery_replid: 'recovery scripts require the claimed replication id too',
  epoch_registry: 'the epoch is the term of the registry, never derived from Redis',
  timeline_in_term: 'the timeline of PostgreSQL is half of the term (product: termAfter)',
  mark_epoch: 'a watermark covers waits of its own epoch only',
  cursor_reset: 'a relay begins at PostgreSQL’s position, never at its own cursor',
  term_from_meta: 'a relay takes its term from meta, in the look that reads the entries',
  silent_closed: 'while meta is closed only recovery relays',
  lineage: 'a stream that is a fork of PostgreSQL is dropped (product: traceLineage)',
  drain:
    'the tail of the stream is relayed, and applied, before the lane opens (product: traceLineage)',
  copy_back: 'rows of PostgreSQL that are newer than Redis go back into Redis (product: planCopy)',
  copy_all: 'a fork, or an unknown position, is copied in full (product: planCopy)',
  tombstones: 'tombstones go back too',
  reset_position: 'the first script of copy back sets meta’s position to nothing',
  wipe_first: 'everything is copied over an emptied lane only',
  time_stands_still: 'opening sets the clock offset so that lane time goes on where it stopped',
  sign_of_life: 'a final no needs a sign of life that began after it (product: isFinalNo)',
  retry_waits: 'a retry waits for the position that its own script returned (product: levelOf)',
  wait_connection: 'WAIT follows the batch on its own connection',
  wait_in_sync: 'WAIT counts only when every replica that is in sync has it, not just a majority',
  wait_leavers: 'a replica whose connection closed counts as in sync for as long as a silent one',
  wait_replay: 'a batch that wrote nothing still waits for what the node had written',
  atomic_offset: 'a consumer keeps its offset in the transaction that applies the records',
  position_cas: 'a batch is applied only to the position that it was read from',
  registry_first: 'the registry opens before meta does',
  newest_term: 'a recovery goes on under the newest term only (product: requireNewest)',
  last_id: 'a script compares the last id of the stream with meta’s position',
  detect_half_done: 'a half-done script calls for recovery (product: needsRecovery)',
  trim_guard: 'trimming refuses a lane that is half done, closed or another node’s',
  trim_persisted: 'trimming keeps what PostgreSQL does not have',
  request_age:
    'a commit takes units again only in the epoch and the lane time that its engine gave it',
  wait_out:
    'an engine says unknown of such a commit, and who lost an engine asks again, only after that',
  trim_epoch: 'trimming refuses a position of a later epoch than the node’s own',
} as const;

export type RuleName = keyof typeof RULES;
export const RULE_NAMES = Object.keys(RULES) as readonly RuleName[];
