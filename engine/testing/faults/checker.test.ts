/** The checker is itself checked: an honest run passes, and each planted mistake is found. */
import { describe, expect, it } from 'vitest';
import { judge } from './checker.ts';
import { FAILED, Forge, OK, refused, SKU, UNKNOWN } from './forge-run.ts';
import type { Level, Verdict } from './verdict.ts';

function verdictOf(forge: Forge, survives: Level = 'replicated'): Verdict {
  return judge({ attempts: forge.run.attempts, state: forge.state(), survives });
}

/** Three buyers of ten units: one commits, one releases, one still holds. */
function story(): Forge {
  const forge = new Forge(10);
  return forge.reserve('a', 2).reserve('b').commit('a').release('b').reserve('c', 3, 'replicated');
}

const named = (verdict: Verdict): string[] => [
  ...new Set(verdict.violations.map(({ invariant }) => invariant)),
];

describe('an honest run', () => {
  it('passes, and is counted by verb and level', () => {
    const verdict = verdictOf(story());
    expect(verdict.violations).toEqual([]);
    expect(verdict.oversold).toBe(0);
    expect(verdict.levels).toEqual([
      { verb: 'receive', level: 'persisted', acknowledged: 1, lost: 0, promised: true },
      { verb: 'reserve', level: 'memory', acknowledged: 2, lost: 0, promised: false },
      { verb: 'reserve', level: 'replicated', acknowledged: 1, lost: 0, promised: true },
      { verb: 'commit', level: 'logged', acknowledged: 1, lost: 0, promised: true },
      { verb: 'release', level: 'memory', acknowledged: 1, lost: 0, promised: false },
    ]);
  });

  it('may have unknowns that were done, and unknowns that were not', () => {
    const forge = story();
    forge.heard(forge.wish('lost'), UNKNOWN);
    forge.heard(forge.wish('open'), undefined);
    const first = forge.run.attempts.find(({ intent }) => intent === 'c');
    if (first !== undefined) first.result = UNKNOWN;
    expect(verdictOf(forge).violations).toEqual([]);
  });

  it('may lose what was acknowledged at a level that did not promise to survive', () => {
    const forge = story();
    forge.heard(forge.wish('gone'), OK('memory', 'held'));
    const verdict = verdictOf(forge);
    expect(verdict.violations).toEqual([]);
    expect(verdict.levels).toContainEqual({
      verb: 'reserve',
      level: 'memory',
      acknowledged: 3,
      lost: 1,
      promised: false,
    });
  });
});

it('lets the stream of an embedded log lack what PostgreSQL has, and Kafka nothing', () => {
  const forge = story();
  forge.run.lacking.add(4);
  expect(named(verdictOf(forge))).toContain('chain');
  forge.run.isLogWhole = false;
  expect(verdictOf(forge).violations).toEqual([]);
  forge.run.lacking.add(1);
  expect(verdictOf(forge).violations).toEqual([]);
});

/** What is planted, and the invariant under which it must be found. */
const PLANTED: Record<string, { breaks: string; plant: (forge: Forge) => void }> = {
  'a hold lost that was acknowledged as replicated': {
    breaks: 'I2',
    plant: (forge) => forge.heard(forge.wish('gone'), OK('replicated', 'held')),
  },
  'a commit lost: the reservation is still held': {
    breaks: 'I2',
    plant: (forge) =>
      forge.heard({ verb: 'commit', intent: 'c', id: 'c.c' }, OK('logged', 'committed')),
  },
  'a release lost that was acknowledged as logged': {
    breaks: 'I2',
    plant: (forge) =>
      forge.heard({ verb: 'release', intent: 'c', id: 'c.c' }, OK('logged', 'released')),
  },
  'a receipt lost': {
    breaks: 'I2',
    plant: (forge) =>
      forge.heard({ verb: 'receive', intent: 'more', lines: [{ sku: SKU, quantity: 5 }] }, OK()),
  },
  'a reservation that was made twice': {
    breaks: 'I3',
    plant: ({ run }) => {
      const [row] = run.reservations;
      if (row !== undefined) run.reservations.push({ ...row, createdSeq: 99, lines: [] });
    },
  },
  'a receipt that was applied twice': {
    breaks: 'I3',
    plant: ({ run }) => {
      run.received += 10;
    },
  },
  'more committed than there was': {
    breaks: 'I1',
    plant: (forge) => {
      forge.heard(forge.wish('d', 9), OK('memory', 'held'));
      forge.heard({ verb: 'commit', intent: 'd', id: 'c.d' }, OK('logged', 'committed'));
    },
  },
  'a counter below zero': {
    breaks: 'I1',
    plant: ({ run }) => {
      run.redisCell.available = -1;
      run.postgresCell.available = -1;
    },
  },
  'a log that sells more than it was given': {
    breaks: 'I1',
    plant: ({ run }) => {
      for (const { changes } of run.log) {
        for (const change of changes) {
          if (change.type === 'stock_moved') Object.assign(change, { deltas: [] });
        }
      }
    },
  },
  'balances that differ': {
    breaks: 'I4',
    plant: ({ run }) => {
      run.redisCell.available += 1;
    },
  },
  'a hold that PostgreSQL has and Redis has not': {
    breaks: 'I4',
    plant: ({ run }) => void run.records.delete('c.c'),
  },
  'a hold that Redis has and PostgreSQL has not': {
    breaks: 'I4',
    plant: ({ run }) => void run.records.set('c.ghost', 'held'),
  },
  'another state in Redis': {
    breaks: 'I4',
    plant: ({ run }) => void run.records.set('c.a', 'held'),
  },
  'units that no reservation has': {
    breaks: 'I4',
    plant: ({ run }) => {
      const line = run.reservations[2]?.lines[0];
      if (line !== undefined) line.reserved -= 1;
    },
  },
  'a cell that PostgreSQL suspects': {
    breaks: 'I4',
    plant: ({ run }) => {
      run.postgresCell.suspect = 'balance below zero';
    },
  },
  'a row that nobody asked for': {
    breaks: 'I5',
    plant: ({ run }) => {
      const row = run.reservations[2];
      if (row !== undefined) row.orderId = 'nobody';
    },
  },
  'a row of a reserve that was answered with "nothing was changed"': {
    breaks: 'I5',
    plant: ({ run }) => {
      const attempt = run.attempts.find(({ intent }) => intent === 'c');
      if (attempt !== undefined) attempt.result = FAILED;
    },
  },
  'a row that the log does not have': {
    breaks: 'I5',
    plant: ({ run }) => {
      for (const entry of run.log) {
        entry.changes = entry.changes.filter((change) => !('id' in change && change.id === 'c.c'));
      }
    },
  },
  'lines that are not those that were asked for': {
    breaks: 'I5',
    plant: ({ run }) => {
      const line = run.reservations[2]?.lines[0];
      if (line !== undefined) line.requested = 7;
    },
  },
  '"sold out" when there was plenty': {
    breaks: 'I6',
    plant: (forge) => forge.heard(forge.wish('late'), refused('insufficient')),
  },
  'a refund of what is committed': {
    breaks: 'I7',
    plant: (forge) => {
      forge.heard({ verb: 'commit', intent: 'a', id: 'c.a' }, refused('hold_lost'));
    },
  },
  'a commit and a release that both won': {
    breaks: 'I7',
    plant: (forge) =>
      forge.heard({ verb: 'release', intent: 'a', id: 'c.a' }, OK('memory', 'released')),
  },
  'a hold that is called expired before its time': {
    breaks: 'I7',
    plant: (forge) => forge.heard({ verb: 'commit', intent: 'c', id: 'c.c' }, refused('expired')),
  },
  'two winners in the log': {
    breaks: 'I7',
    plant: ({ run }) => {
      const [entry] = run.log.filter(({ changes }) => changes[0]?.type === 'released');
      const change = entry?.changes[0];
      if (change !== undefined) Object.assign(change, { id: 'c.a' });
    },
  },
  'a log that goes on behind the stores': {
    breaks: 'I8',
    plant: ({ run }) => {
      const last = run.log.at(-1);
      if (last === undefined) return;
      const id = { ...last.id, seq: last.id.seq + 1 };
      run.log.push({ ...last, id, predecessor: last.id, changes: [], cells: [] });
    },
  },
  'a fork in the log': {
    breaks: 'chain',
    plant: ({ run }) => {
      const entry = run.log[3];
      if (entry !== undefined) entry.id = { ...entry.id, nonce: 'ff' };
    },
  },
  'lane time that goes back': {
    breaks: 'time',
    plant: ({ run }) => {
      const entry = run.log[3];
      if (entry !== undefined) entry.timeMs = -1;
    },
  },
};

describe('the checker finds', () => {
  it.each(Object.entries(PLANTED))('%s', (_, { breaks, plant }) => {
    const forge = story();
    plant(forge);
    expect(named(verdictOf(forge))).toContain(breaks);
  });

  it('how many units were oversold', () => {
    const forge = story();
    PLANTED['more committed than there was']?.plant(forge);
    // 2 of the story and 9 of the planted commit, of 10.
    expect(verdictOf(forge).oversold).toBe(1);
  });
});
