import { describe, expect, it } from 'vitest';
import type { DecodedEntry } from './decode.ts';
import { foldLog } from './fold.ts';
import { Story } from './forge.ts';

/** A lane with 10 units of TEA at EU-1. */
function stocked(): Story {
  return new Story()
    .opened(7)
    .define('TEA')
    .stock('op', [['TEA EU-1', 10]])
    .write();
}

function found(story: Story, options = {}): string[] {
  const fold = foldLog(story.logs, options);
  return fold.violations.map(({ invariant, where, what }) => `${invariant} ${where}: ${what}`);
}

function changeFirst(entry: DecodedEntry, more: object): DecodedEntry {
  const [first, ...rest] = entry.changes;
  return { ...entry, changes: [{ ...first, ...more } as DecodedEntry['changes'][number], ...rest] };
}

function cellFirst(entry: DecodedEntry, more: object): DecodedEntry {
  const [first, ...rest] = entry.cells;
  if (first === undefined) throw new Error('the entry has no cell');
  return { ...entry, cells: [{ ...first, ...more }, ...rest] };
}

describe('an honest log', () => {
  it('folds into its cells and reservations without a word', () => {
    const story = stocked();
    story
      .reserve('a', [['TEA EU-1', 3]])
      .reserve('b', [['TEA EU-1', 2]])
      .write();
    story
      .reserve('c', [['TEA EU-1', 1]])
      .commit('a', 2)
      .write();
    story.extend('b', 900).shipOne('a', '0000000100000001').write();
    story.release('c').write();
    story.tick(901_000).expire('b').write();
    story
      .opened(9)
      .retake('b', [['TEA EU-1', 2]])
      .write();
    story.ship('a').cancel('b').write();
    const fold = foldLog(story.logs);
    expect(fold.violations).toEqual([]);
    expect(fold.complete).toBe(true);
    expect(fold.position).toEqual(story.last);
    expect(fold.cell('TEA', 'EU-1')).toMatchObject({
      available: 8,
      reserved: 0,
      allocated: 0,
      granted: 10,
      shipped: 2,
      version: story.cells.get('TEA EU-1')?.version,
    });
    const states = [...fold.reservations.values()].map(({ id, state }) => [id, state]);
    expect(Object.fromEntries(states)).toEqual({ a: 'closed', b: 'closed', c: 'released' });
  });

  it('lets an id be used again when its window is over, and keeps what it committed', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .commit('a')
      .write();
    story
      .tick(2 * 86_400_000)
      .reserve('a', [['TEA EU-1', 1]])
      .write();
    expect(found(story)).toEqual([]);
    expect(foldLog(story.logs).cell('TEA', 'EU-1')).toMatchObject({ allocated: 3, reserved: 1 });
  });

  it('forgets ids whose window is over', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .release('a')
      .write();
    story.tick(3 * 86_400_000);
    expect(foldLog(story.logs).reservations.size).toBe(0);
  });

  it('may begin in the middle when it is told so', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write();
    story.commit('a').write();
    const tail = story.logs.slice(2);
    expect(foldLog(tail, { complete: false }).violations).toEqual([]);
    expect(foldLog(tail).violations.map(({ invariant }) => invariant)).toContain('chain');
  });
});

describe('the chain', () => {
  it.each<[string, (entry: DecodedEntry) => DecodedEntry, RegExp]>([
    [
      'a forged predecessor',
      (e) => ({ ...e, predecessor: { ...e.predecessor, nonce: 'ff'.repeat(8) } }),
      /follows 7-2 \(f+\), but behind it stands 7-2/,
    ],
    ['a gap', (e) => ({ ...e, id: { ...e.id, seq: 9 } }), /its seq should be 3/],
    ['an epoch that falls', (e) => ({ ...e, id: { ...e.id, epoch: 6, seq: 1 } }), /below 7/],
    [
      'an epoch without its opening',
      (e) => ({ ...e, id: { ...e.id, epoch: 8, seq: 1 } }),
      /begins with 'opened'/,
    ],
    ['an opening in the middle', (e) => ({ ...e, kind: 'opened' }), /begins with 'opened'/],
    ['time that runs back', (e) => ({ ...e, timeMs: e.timeMs - 5 }), /back by 5 ms/],
    ['a tick that carries changes', (e) => ({ ...e, kind: 'tick' }), /carries changes/],
  ])('%s', (_name, bend, message) => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write(bend);
    expect(found(story).join('\n')).toMatch(message);
  });

  it('a lost entry', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write()
      .commit('a')
      .write();
    story.written.splice(2, 1);
    expect(found(story)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^chain entry 7-4: it follows 7-3 .* behind it stands 7-2/),
        expect.stringMatching(/^I5 .*a: it was committed but never reserved/),
        expect.stringMatching(/^I4 .*version 3 follows on 1/),
      ]),
    );
  });

  it('an entry that stands twice', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write();
    story.written.push(story.written[2] ?? Buffer.of());
    expect(found(story).join('\n')).toMatch(/I3 .*reserved again 0 ms after 7-3, while held/);
  });

  it('bytes that nobody can read end what can be said, and are told once', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write()
      .commit('a')
      .write();
    story.written[2] = Buffer.from('not an entry');
    expect(found(story)).toEqual([expect.stringMatching(/^entry .*format 110 is unknown/)]);
    expect(foldLog(story.logs).complete).toBe(false);
  });
});

describe('balances', () => {
  it.each<[string, (entry: DecodedEntry) => DecodedEntry, RegExp]>([
    ['a wrong balance', (e) => cellFirst(e, { available: 8 }), /available is 8, .* make 7/],
    ['units from nowhere', (e) => cellFirst(e, { reserved: 4 }), /4 units are reserved, .* have 3/],
    ['a version that skips', (e) => cellFirst(e, { version: 5 }), /version 5 follows on 1/],
    ['a cell below zero', (e) => cellFirst(e, { available: -1 }), /I1 .*available is -1/],
    [
      'a dropped change',
      (e) => ({ ...e, changes: [] }),
      /available is 7, but the changes make 10[\s\S]*reserved is 3, but the changes make 0/,
    ],
    [
      'a cell that stands twice',
      (e) => ({ ...e, cells: [...e.cells, ...e.cells] }),
      /a cell stands in it twice/,
    ],
  ])('%s', (_name, bend, message) => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write(bend);
    expect(found(story).join('\n')).toMatch(message);
  });

  it('an oversell, however the entries state it', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 8]])
      .write();
    story.reserve('b', [['TEA EU-1', 8]]).write((e) => cellFirst(e, { available: 0 }));
    expect(found(story).join('\n')).toMatch(/I1 .*0 committed \+ 16 held .* 6 more than the 10/);
  });

  it('an oversell is told when it grows, not at each entry', () => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 12]])
      .write();
    story
      .release('a')
      .reserve('b', [['TEA EU-1', 12]])
      .write();
    const oversold = found(story).filter((line) => line.includes('more than'));
    expect(oversold).toHaveLength(1);
  });
});

describe('reservations', () => {
  const held = () =>
    stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write();
  const committed = () => held().commit('a').write();

  it.each<[string, () => Story, RegExp]>([
    ['released twice', () => again(held().release('a').write()), /I7 .*was released and then rel/],
    [
      'released when committed',
      () => revert(committed(), 'held').release('a').write(),
      /I7 .*was committed and then released/,
    ],
    [
      'expired when committed',
      () => revert(committed().tick(601_000), 'held').expire('a').write(),
      /I7 .*was committed and then expired/,
    ],
    [
      'committed when expired',
      () => revert(held().tick(601_000).expire('a').write(), 'held').commit('a').write(),
      /I7 .*was expired and then committed/,
    ],
    [
      'expired early',
      () => held().tick(599_000).expire('a').write(),
      /I7 .*expired 1000 ms before/,
    ],
    ['shipped when held', () => held().ship('a').write(), /I7 .*was held and then shipped/],
    ['extended when committed', () => committed().extend('a', 60).write(), /I7 .*then extended/],
    [
      'reserved twice within the window',
      () =>
        held()
          .release('a')
          .write()
          .reserve('a', [['TEA EU-1', 3]])
          .write(),
      /I3 .*reserved again 0 ms after 7-3, while released/,
    ],
    [
      'taken again though never lost',
      () =>
        committed()
          .retake('a', [['TEA EU-1', 1]])
          .write(),
      /I7 .*was committed and then committed anew/,
    ],
    [
      'a stock operation done twice',
      () =>
        stocked()
          .stock('op', [['TEA EU-1', 10]])
          .write(),
      /I3 .*op: the stock operation was done twice/,
    ],
    [
      'a settlement applied twice',
      () => committed().shipOne('a', '000000ff00000001').shipOne('a', '000000ff00000001').write(),
      /I3 .*settlement 0+ff0+1 was applied twice/,
    ],
  ])('%s', (_name, tell, message) => {
    expect(found(tell()).join('\n')).toMatch(message);
  });

  it.each<[string, (entry: DecodedEntry) => DecodedEntry, RegExp]>([
    ['the tail of a partial commit lost', (e) => changeFirst(e, { moves: [] }), /I4 .*leaves 3/],
    ['a version that skips', (e) => changeFirst(e, { version: 9 }), /makes version 9 out of 1/],
    ['another reservation than one that was made', (e) => changeFirst(e, { id: 'zz' }), /I5 .*zz/],
  ])('a commit with %s', (_name, bend, message) => {
    const story = held().commit('a', 2).write(bend);
    expect(found(story).join('\n')).toMatch(message);
  });

  it.each<[string, object, RegExp]>([
    ['more than was asked', { requested: new Map([[0, 2]]) }, /I5 .*got 3 units and asked 2/],
    ['a deadline that is past', { deadlineS: 5 }, /time .*past its deadline/],
    ['a generation where no retry looks', { generation: 5 }, /I3 .*stands in generation 5/],
  ])('a reserve with %s', (_name, more, message) => {
    const story = stocked()
      .reserve('a', [['TEA EU-1', 3]])
      .write((e) => changeFirst(e, more));
    expect(found(story).join('\n')).toMatch(message);
  });
});

/** The last entry's changes once more, in an entry of their own. */
function again(story: Story): Story {
  const last = story.entries.at(-1);
  if (last === undefined) throw new Error('the story is empty');
  return story.write((entry) => ({ ...last, id: entry.id, predecessor: entry.predecessor }));
}

/** Makes the story believe that the reservation stands as it was: for a second winner. */
function revert(story: Story, state: 'held'): Story {
  const hold = story.holds.get('a');
  if (hold === undefined) throw new Error('there is no a');
  hold.state = state;
  hold.units = [{ line: 0, sku: 'TEA', field: 'EU-1', units: 3 }];
  return story;
}
