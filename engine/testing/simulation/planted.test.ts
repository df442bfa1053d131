/**
 * Each rule of the protocol is switched off in turn, and the simulation must find it. `from` is where
 * it was found last, so that the test is short; a change of the scenarios may move it, and then
 * SEEDS_MAX seeds must do.
 */
import { describe, expect, it } from 'vitest';
import { campaign, explain } from './campaign.ts';
import type { Kind } from './fault-plans.ts';
import { initialWorld } from './initial.ts';
import { PROPOSED, RULE_NAMES, type RuleName } from './rule-names.ts';
import { makeRules } from './rules.ts';
import { kindOf, replay } from './shrink.ts';

interface Where {
  readonly kind?: Kind;
  readonly from: number;
}

const SEEDS_MAX = 500;

const FOUND: Readonly<Partial<Record<RuleName, Where>>> = {
  fence_record: { kind: 'zombie', from: 22 },
  void_rule: { kind: 'zombie', from: 14 },
  repeat_rule: { from: 4 },
  fold_cells: { from: 5 },
  contiguity: { kind: 'zombie', from: 53 },
  replid: { kind: 'a_b_a', from: 23 },
  causal_token: { kind: 'zombie', from: 7 },
  recovery_replid: { kind: 'interrupted', from: 113 },
  epoch_registry: { from: 1 },
  timeline_in_term: { kind: 'postgres_behind', from: 192 },
  mark_epoch: { kind: 'zombie', from: 2 },
  cursor_reset: { kind: 'processes', from: 5 },
  term_from_meta: { kind: 'zombie', from: 48 },
  silent_closed: { kind: 'zombie', from: 4 },
  lineage: { kind: 'zombie', from: 48 },
  drain: { kind: 'one_node', from: 209 },
  copy_back: { from: 1 },
  copy_all: { kind: 'interrupted', from: 208 },
  tombstones: { from: 2 },
  reset_position: { kind: 'interrupted', from: 39 },
  wipe_first: { kind: 'interrupted', from: 208 },
  time_stands_still: { from: 1 },
  retry_waits: { from: 114 },
  wait_connection: { kind: 'one_node', from: 10 },
  atomic_offset: { from: 4 },
  position_cas: { from: 2 },
  registry_first: { from: 1 },
  newest_term: { kind: 'interrupted', from: 4 },
  last_id: { kind: 'half_done', from: 24 },
  detect_half_done: { kind: 'half_done', from: 1 },
  trim_guard: { kind: 'half_done', from: 11 },
  trim_persisted: { from: 48 },
  trim_epoch: { kind: 'zombie', from: 27 },
};

/** Not found by seeds so far: see the README. */
const NOT_FOUND: readonly RuleName[] = ['sign_of_life', 'wait_replay'];

describe('planted protocol bugs', () => {
  it('has a row for every rule', () => {
    const rows = [...Object.keys(FOUND), ...NOT_FOUND, ...PROPOSED];
    expect(rows.toSorted()).toEqual([...RULE_NAMES].toSorted());
  });

  for (const rule of RULE_NAMES) {
    const where = FOUND[rule];
    if (where === undefined) continue;
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
