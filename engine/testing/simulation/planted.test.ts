/**
 * Each rule of the protocol is switched off in turn, and the simulation must find it. `from` is where
 * it was found last, so that the test is short; a change of the scenarios may move it, and then
 * SEEDS_MAX seeds must do.
 */
import { describe, expect, it } from 'vitest';
import { campaign, explain } from './campaign.ts';
import type { Kind } from './fault-plans.ts';
import { initialWorld } from './initial.ts';
import { RULE_NAMES, type RuleName } from './rule-names.ts';
import { makeRules } from './rules.ts';
import { kindOf, replay } from './shrink.ts';

interface Where {
  readonly kind?: Kind;
  readonly from: number;
}

const SEEDS_MAX = 500;

const FOUND: Readonly<Record<RuleName, Where>> = {
  fence_record: { kind: 'zombie', from: 5 },
  void_rule: { kind: 'zombie', from: 5 },
  repeat_rule: { from: 4 },
  fold_cells: { from: 2 },
  contiguity: { kind: 'zombie', from: 128 },
  replid: { kind: 'a_b_a', from: 23 },
  causal_token: { kind: 'zombie', from: 5 },
  majority_recovers: { kind: 'one_node', from: 127 },
  recovery_replid: { kind: 'interrupted', from: 263 },
  epoch_registry: { from: 3 },
  timeline_in_term: { kind: 'postgres_behind', from: 41 },
  mark_epoch: { kind: 'zombie', from: 7 },
  cursor_reset: { kind: 'processes', from: 186 },
  term_from_meta: { kind: 'zombie', from: 5 },
  silent_closed: { kind: 'zombie', from: 149 },
  lineage: { kind: 'zombie', from: 184 },
  drain: { kind: 'one_node', from: 46 },
  copy_back: { from: 4 },
  copy_all: { kind: 'interrupted', from: 304 },
  tombstones: { from: 4 },
  reset_position: { kind: 'interrupted', from: 108 },
  wipe_first: { kind: 'interrupted', from: 304 },
  time_stands_still: { from: 1 },
  sign_of_life: { kind: 'left_behind', from: 58 },
  retry_waits: { from: 2 },
  wait_connection: { kind: 'one_node', from: 9 },
  wait_in_sync: { kind: 'slow_replicas', from: 71 },
  wait_leavers: { kind: 'in_turn', from: 44 },
  wait_replay: { kind: 'one_node', from: 23 },
  atomic_offset: { from: 5 },
  position_cas: { from: 2 },
  registry_first: { from: 1 },
  newest_term: { kind: 'interrupted', from: 53 },
  last_id: { kind: 'half_done', from: 3 },
  detect_half_done: { kind: 'half_done', from: 2 },
  trim_guard: { kind: 'half_done', from: 2 },
  trim_persisted: { from: 2 },
  request_age: { kind: 'late_commits', from: 29 },
  wait_out: { kind: 'late_commits', from: 12 },
  trim_epoch: { kind: 'zombie', from: 185 },
};

describe('planted protocol bugs', () => {
  for (const rule of RULE_NAMES) {
    const where = FOUND[rule];
    it(`finds ${rule}`, { timeout: 120_000 }, async () => {
      const seen = await campaign({ ...where, seeds: SEEDS_MAX, brokenMax: 1 }, makeRules([rule]));
      expect(seen.broken).toHaveLength(1);
      // The same seed with the rule in place: it is the bug that breaks it.
      const [{ seed } = { seed: 0 }] = seen.broken;
      const right = await campaign({ ...where, from: seed, seeds: 1, brokenMax: 1 }, makeRules());
      expect(right.broken).toEqual([]);
    });
  }

  it('shrinks what it found to a trace that breaks alike', { timeout: 120_000 }, async () => {
    const rules = makeRules(['registry_first']);
    const seen = await campaign({ from: 1, seeds: SEEDS_MAX, brokenMax: 1 }, rules);
    const [broken] = seen.broken;
    if (broken === undefined) throw new Error('nothing was found');
    const short = await explain(broken, rules);
    expect(short.trace.length).toBeLessThan(broken.run.trace.length / 2);
    const { config, plans } = broken.scenario;
    const again = await replay(() => initialWorld(config, plans), short.trace, rules);
    expect(kindOf(again.wrong ?? '')).toBe(kindOf(broken.wrong));
  });
});
