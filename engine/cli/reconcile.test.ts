/** The words of `holdfast reconcile` for people; what it finds is tried beside it (reconciler/reconcile). */
import { expect, it } from 'vitest';
import { CAUSES } from '../../reconciler/reconcile/causes.ts';
import { countDifferences } from '../../reconciler/reconcile/report.ts';
import { drawTable } from './reconcile.ts';

it('shows the name of every cause whole', () => {
  const rows = Object.keys(CAUSES).map((cause) => [cause, 'cell A', '1', '2', '2', 'nothing']);
  const drawn = drawTable([['cause', 'where', 'Redis', 'PostgreSQL', 'witness', 'plan'], ...rows]);
  for (const cause of Object.keys(CAUSES)) expect(drawn).toContain(` ${cause} `);
});

it('counts in words', () => {
  const said = [1, 2, 1_000].map((difference_count) => countDifferences({ difference_count }));
  expect(said).toEqual(['1 difference', '2 differences', '1,000 differences']);
});
