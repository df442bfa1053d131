/** The page says what the lines say: sums, percentiles, losses by level, and every broken promise. */
import { expect, it } from 'vitest';
import { ofLastBuild } from './builds.ts';
import { FAULTS, faultNamed } from './catalogue.ts';
import { parseRecords, renderEvidence } from './evidence.ts';
import type { FaultRecord, RunRecord } from './record.ts';

const FAULT = faultNamed('primary_hung');

function run(n: number, changed: Partial<RunRecord> = {}): RunRecord {
  return {
    kind: 'run',
    fault: FAULT.name,
    log: 'kafka',
    run: n,
    seed: 's',
    at: '2026-01-01T00:00:00.000Z',
    survives: FAULT.survives,
    fault_ms: 3_000,
    stopped_ms: 1_000 + n,
    stopped_old_ms: 2_000,
    recoveries: [{ term: 1, cause: 'replid', outcome: 'opened', ms: 100 + n, steps: [] }],
    converged_ms: 400,
    attempts: 1_000,
    outcomes: {},
    levels: [
      { verb: 'reserve', level: 'memory', acknowledged: 100, lost: 2, promised: false },
      { verb: 'commit', level: 'logged', acknowledged: 50, lost: 0, promised: true },
    ],
    oversold: 0,
    violations: [],
    notes: [],
    ...changed,
  };
}

const page = (records: readonly FaultRecord[]): string =>
  renderEvidence(parseRecords(records.map((record) => JSON.stringify(record)).join('\n')), FAULTS);

it('sums and gives percentiles', () => {
  const text = page(Array.from({ length: 100 }, (_, n) => run(n)));
  expect(text).toContain('| runs | 100 |');
  expect(text).toContain('| acknowledged operations | 15,000 |');
  expect(text).toContain('| acknowledged commits lost | 0 |');
  expect(text).toContain('1,049 / 1,098 / 1,099');
  expect(text).toContain('149 / 198 / 199');
  expect(text).toContain('In ms: p50 / p99 / max.');
  expect(text).not.toContain('## Violations');
});

it('gives p90 where p99 would be the greatest', () => {
  const text = page(Array.from({ length: 20 }, (_, n) => run(n)));
  expect(text).toContain('In ms: p50 / p90 / max.');
  expect(text).toContain('1,009 / 1,017 / 1,019');
});

it('judges how soon each fault sold again', () => {
  const text = page([4_000, 5_000, 6_000].map((ms, n) => run(n, { selling_again_ms: ms })));
  expect(text).toContain('| selling again | within 5 s |');
  expect(text).toContain('| 5,000 / 6,000 / 6,000 | 2 of 3 |');
});

it('judges a run by what was promised when it ran, with a row for each promise', () => {
  const was = run(1, {
    survives: 'memory',
    levels: [{ verb: 'reserve', level: 'memory', acknowledged: 7, lost: 0, promised: true }],
  });
  const text = page([run(0), was]);
  expect(text).toContain('| reserve | `memory` | 2 of 100 | `replicated` and above |');
  expect(text).toContain('| reserve | `memory` | 0 of 7 | `memory` and above |');
  expect(text).toContain('`replicated`; 1 run judged by `memory`, as it was then');
});

it('states what each level lost, and where nothing was promised', () => {
  const text = page([run(0), run(1)]);
  expect(text).toContain('| `memory` | - | 4 of 200 |');
  expect(text).toContain('| `logged` | 0 of 100 | - |');
  expect(text).toContain(
    '| `primary_hung` | reserve | `memory` | 4 of 200 | `replicated` and above |',
  );
});

it('names every broken promise, and what was skipped', () => {
  const violation = { invariant: 'I2', where: 'commit x', what: 'is gone' } as const;
  const text = page([
    run(0, { violations: [violation], oversold: 3 }),
    { kind: 'skipped', fault: 'disk_full', why: 'only root may mount' },
  ]);
  expect(text).toContain('| units oversold | 3 |');
  expect(text).toContain('| broken promises | 1 in 1 run, listed below |');
  expect(text).toContain('I2, commit x: is gone');
  expect(text).toContain('- `disk_full`: only root may mount');
});

it('says how soon it went on, who was killed, and how busy the machine was', () => {
  const text = page([
    run(0, { selling_again_ms: 4_000, reopened_ms: 300, kills: { engine: 10 }, load: 2.5 }),
    run(1, {
      selling_again_ms: 6_000,
      reopened_ms: null,
      kills: { 'relay.after_read': 1 },
      load: 9,
    }),
  ]);
  expect(text).toContain('| selling again within 5 s of the fault | 1 of 2 |');
  expect(text).toContain('| the same at a load average of 6 or below | 1 of 1 |');
  expect(text).toContain('| open again within 2 s of the promotion | 1 of 1 |');
  expect(text).toContain('| `engine` | 10 |\n| `relay.after_read` | 1 |');
  expect(text).toContain('| SIGKILLs to processes of the product | 11 |');
});

it('shows the load of the runs, under conditions', () => {
  const conditions = { kind: 'conditions', at: 'now', words: ['  2 cores'] } as const;
  const text = page([conditions, run(0, { load: 9 }), run(1, { load: 2.5 })]);
  expect(text).toContain('Load average at the end of the runs: 2.5 to 9, half');
});

it('never puts two builds together without saying so', () => {
  const lines = [
    run(0, { commit: 'old' }),
    run(1, { commit: 'new' }),
    { kind: 'skipped', fault: 'disk_full', why: 'only root may mount' } as const,
  ];
  const { commit, taken } = ofLastBuild(lines);
  expect(commit).toBe('new');
  expect(taken).toEqual(lines.slice(1));
  const conditions = { kind: 'conditions', at: 'now', words: [] } as const;
  const together = page([conditions, ...lines]);
  expect(together).toContain('results of 2 builds, put together');
  expect(together).toContain('commit old: 1 run; commit new: 1 run.');
  expect(page([conditions, ...taken])).toContain('The build: commit new: 1 run.');
  expect(page([conditions, ...taken])).not.toContain('builds, put together');
});

it('has the races, and what was broken in them', () => {
  const races = { races: 1_000, committed: 400, expired: 599, neither: 1, both: 0, contested: 250 };
  const violation = { invariant: 'I7', where: 'race of c.x', what: 'nobody ended it' } as const;
  const of = { at: '2026-01-01T00:00:00.000Z', log: 'kafka', seed: 's', seconds: 9 } as const;
  const text = page([{ kind: 'races', ...of, ...races, violations: [violation] }]);
  expect(text).toContain('| 1,000 | 400 (40.0 %) | 599 (59.9 %) | 250 (25.0 %) | 1 | 0 | 1 | 9 |');
  expect(text).toContain('- seed s: I7, race of c.x: nobody ended it');
});

it('sums a soak', () => {
  const text = page([
    run(0),
    {
      kind: 'soak',
      at: '2026-01-01T00:00:00.000Z',
      minutes: 30,
      log: 'kafka',
      seed: 's',
      runs: 90,
      attempts: 50_000,
      acknowledged: 40_000,
      acknowledged_commits: 10_000,
      commits_lost: 0,
      oversold: 0,
      broken: 0,
    },
  ]);
  expect(text).toContain('| 30 | kafka | s | 90 | 40,000 | 0 of 10,000 | 0 | 0 |');
});

it('has a row of the catalogue for each fault that ran, by a name that is there once', () => {
  expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
  expect(page([run(0)])).toContain(FAULT.what);
});
