/** Winners are counted from the log, and whoever heard something else is told; from races made by hand. */
import { expect, it } from 'vitest';
import { groupAttempts } from './asked.ts';
import type { Attempt } from './history.ts';
import { type Ends, judgeRaces, type Race } from './race-count.ts';

const OK = { outcome: 'ok', status: 200, code: 'committed' } as const;
const EXPIRED = { outcome: 'refused', status: 409, code: 'expired' } as const;
const UNKNOWN = { outcome: 'unknown', status: 503, code: 'durability_unknown' } as const;

/** Asked for at that time, with a deadline of 1,000. */
function race(id: string, atMs: number, ...results: NonNullable<Attempt['result']>[]): Race {
  const attempts = results.map((result, n) => {
    const times = { invokedMs: atMs + n, endedMs: atMs + n + 1 };
    return { n, client: 'race', verb: 'commit', intent: id, id, ...times, result } as const;
  });
  const [asked] = groupAttempts(attempts);
  if (asked === undefined) throw new Error('no attempt');
  return { asked, deadlineMs: 1_000 };
}

const ends = (of: Record<string, [number, number]>): Ends =>
  new Map(Object.entries(of).map(([id, [committed, expired]]) => [id, { committed, expired }]));

it('counts winners, and those asked for when either could win', () => {
  const races = [
    race('a', 990, OK),
    race('b', 995, UNKNOWN, EXPIRED),
    race('c', 999, OK, OK),
    race('d', 1_001, EXPIRED),
  ];
  const { count, violations } = judgeRaces(
    races,
    ends({ a: [1, 0], b: [0, 1], c: [1, 0], d: [0, 1] }),
  );
  expect(violations).toEqual([]);
  expect(count).toEqual({
    ...{ races: 4, committed: 2, expired: 2, neither: 0, both: 0 },
    contested: 2,
  });
});

it.each([
  ['nobody ended it', race('a', 0, OK), {}, 'neither by a commit nor'],
  ['it ended twice', race('a', 0, OK), { a: [1, 1] }, 'commits it 1 times and lets it expire 1'],
  ['it was committed twice', race('a', 0, OK), { a: [2, 0] }, 'commits it 2 times'],
  ['a winner heard no', race('a', 0, EXPIRED), { a: [1, 0] }, 'clients heard expired'],
  ['a loser heard yes', race('a', 0, OK), { a: [0, 1] }, 'it is expired, and clients heard'],
  ['two heard two things', race('a', 0, OK, EXPIRED), { a: [1, 0] }, 'committed and expired'],
  ['nobody heard', race('a', 0, UNKNOWN), { a: [1, 0] }, 'heard nothing'],
] satisfies [string, Race, Record<string, [number, number]>, string][])(
  'tells when %s',
  (_, one, log, what) => {
    const { violations } = judgeRaces([one], ends(log));
    expect(violations).toHaveLength(1);
    expect(violations[0]?.what).toContain(what);
  },
);
