/**
 * Broken copies of the product's pure functions, by the rule that they break. That the simulation
 * finds them shows that it is the product's function that decides in it.
 */

import type { Consumed } from '../../../persister/consume.ts';
import { timelineOf } from '../../../reconciler/term.ts';
import { decodeEntry } from '../../events/entry-codec.ts';
import type { LogRecord } from '../../log/event-log.ts';
import type { Product } from './product.ts';
import type { RuleName } from './rule-names.ts';

export function plantBugs(product: Product, off: ReadonlySet<RuleName>): Product {
  let broken = product;
  for (const rule of off) broken = BUGS[rule]?.(broken) ?? broken;
  return broken;
}

const BUGS: Partial<Record<RuleName, (product: Product) => Product>> = {
  void_rule: (product) => ({
    ...product,
    consume: (from, records, form) => {
      let term = from.term;
      const raised = records.map((record): LogRecord => {
        term = Math.max(term, record.term);
        return { ...record, term };
      });
      return product.consume(from, raised, form);
    },
  }),
  repeat_rule: (product) => ({
    ...product,
    consume: acceptRepeats(product),
  }),
  fold_cells: (product) => ({
    ...product,
    foldBatch: (entries) => {
      const batch = product.foldBatch(entries);
      const firsts = entries.flatMap(({ cells }) => cells);
      return {
        ...batch,
        cells: batch.cells.map((row) => {
          const first = firsts.find((cell) => cell.sku === row.sku);
          return first === undefined ? row : { ...row, available: first.available };
        }),
      };
    },
  }),
  timeline_in_term: (product) => ({
    ...product,
    termAfter: (term) => product.termAfter(term, timelineOf(term)),
    needsRecovery: (tail, row) =>
      product.needsRecovery(tail, { ...row, timeline: timelineOf(row.term) }),
    whyEnded: (row, term, states) =>
      product.whyEnded({ ...row, timeline: timelineOf(term) }, term, states),
  }),
  newest_term: (product) => ({
    ...product,
    whyEnded: (row, term) => {
      const state = row.position.parked === undefined ? undefined : 'parked';
      return state ?? (row.timeline > timelineOf(term) ? 'superseded' : undefined);
    },
  }),
  copy_back: (product) => ({ ...product, planCopy: async () => 'nothing' }),
  copy_all: (product) => ({
    ...product,
    planCopy: async (...args) => {
      const what = await product.planCopy(...args);
      return what === 'everything' ? 'newer' : what;
    },
  }),
  lineage: (product) => ({
    ...product,
    traceLineage: async (source, position) => {
      const found = await product.traceLineage(source, position);
      if (found.kind !== 'fork') return found;
      const newer = await source.linksAfter(position);
      const head = newer.at(-1)?.key;
      if (head === undefined) return { kind: 'nothing' };
      return { kind: 'tail', count: newer.length, after: position, head };
    },
  }),
  drain: (product) => ({
    ...product,
    traceLineage: async (source, position) => {
      const found = await product.traceLineage(source, position);
      return found.kind === 'tail' ? { kind: 'nothing' } : found;
    },
  }),
  detect_half_done: (product) => ({
    ...product,
    needsRecovery: (tail, registry) =>
      product.needsRecovery({ ...tail, halfDone: false }, registry),
  }),
  sign_of_life: (product) => ({ ...product, isFinalNo: () => false }),
  retry_waits: (product) => ({
    ...product,
    levelOf: (verb, wanted, outcome, state, replayed) =>
      replayed ? 'memory' : product.levelOf(verb, wanted, outcome, state, replayed),
  }),
};

/** A consumer that applies what it has applied before. */
function acceptRepeats(product: Product): Product['consume'] {
  return (from, records, form) => {
    let seen: Consumed = { accepted: [], position: from, voided: 0, repeated: 0, records: 0 };
    for (const record of records) {
      const one = product.consume(seen.position, [record], form);
      if (one.stop !== undefined) return { ...seen, stop: one.stop };
      const repeated = one.repeated > 0 && record.entry !== undefined ? [record.entry] : [];
      const accepted = [...seen.accepted, ...one.accepted, ...repeated.map(decodeEntry)];
      seen = { ...seen, accepted, position: one.position, records: seen.records + 1 };
    }
    return seen;
  };
}
