import { describe, expect, it } from 'vitest';
import type { RedisLevel } from '../domain/durability.ts';
import { ByteWriter } from '../events/bytes.ts';
import { planConfirmations, readNeeded } from './confirmation.ts';
import { lacksOf, type NodeFacts, quorumOf, supportOf } from './durability-support.ts';

const AOF: NodeFacts = {
  hasAof: true,
  hasWaitAof: false,
  appendFsync: 'everysec',
  noFsyncOnRewrite: 'no',
};

describe('what a deployment can confirm', () => {
  it('is a majority of the data nodes with the primary among them', () => {
    expect([0, 1, 2, 3, 4, 5].map(quorumOf)).toEqual([0, 1, 1, 2, 2, 3]);
  });

  it.each([
    [AOF, 'never'],
    [{ ...AOF, hasWaitAof: true }, 'waitaof'],
    [{ ...AOF, appendFsync: 'always' }, 'reply'],
    [{ ...AOF, appendFsync: 'always', noFsyncOnRewrite: 'yes' }, 'never'],
    [{ ...AOF, appendFsync: undefined, noFsyncOnRewrite: undefined }, 'never'],
    [{ ...AOF, hasAof: false, hasWaitAof: true, appendFsync: 'always' }, 'never'],
  ] satisfies [NodeFacts, string][])('tells of the disk: %j: %s', (facts, fsync) => {
    expect(supportOf(facts, 2)).toEqual({ replicas: 2, quorum: 1, fsync });
  });

  it('is said with what to set, where it is not enough', () => {
    expect(lacksOf({ replicas: 2, quorum: 1, fsync: 'reply' })).toEqual({});
    const { replicated, fsync } = lacksOf({ replicas: 0, quorum: 0, fsync: 'never' });
    expect(replicated).toMatch(/HOLDFAST_REDIS_REPLICAS/);
    expect(fsync).toMatch(/appendfsync always/);
  });
});

describe('planConfirmations', () => {
  const plan = (
    levels: readonly RedisLevel[],
    quorum: number,
    fsync: 'waitaof' | 'reply' | 'never',
    needed = 0,
  ) =>
    planConfirmations(new Set(levels), { replicas: 2 * quorum, quorum, fsync }).map(
      ({ level, commands }) =>
        `${level}: ${commands(needed, 500)
          .map((command) => command.join(' '))
          .join(', ')}`,
    );

  it('asks the replicas before the disk, each for its own level', () => {
    expect(plan(['fsync', 'replicated'], 1, 'waitaof')).toEqual([
      'replicated: WAIT 1 500',
      'fsync: WAIT 1 500, WAITAOF 1 1 500',
    ]);
    expect(plan(['replicated'], 2, 'waitaof')).toEqual(['replicated: WAIT 2 500']);
    expect(plan(['fsync'], 0, 'waitaof')).toEqual(['fsync: WAIT 0 500, WAITAOF 1 0 500']);
  });

  it('asks once where each reply is behind the fsync', () => {
    expect(plan(['fsync', 'replicated'], 1, 'reply')).toEqual(['fsync: WAIT 1 500']);
    expect(plan(['fsync'], 0, 'reply')).toEqual(['fsync: WAIT 0 500']);
  });

  it('asks for as many as were in sync, and never for less than the quorum', () => {
    expect(plan(['replicated'], 2, 'never', 4)).toEqual(['replicated: WAIT 4 500']);
    expect(plan(['replicated'], 2, 'never', 1)).toEqual(['replicated: WAIT 2 500']);
    expect(plan(['fsync'], 1, 'waitaof', 2)).toEqual(['fsync: WAIT 2 500, WAITAOF 1 1 500']);
    expect(plan(['fsync'], 1, 'reply', 2)).toEqual(['fsync: WAIT 2 500']);
    expect(plan(['fsync'], 0, 'reply', 2), 'none belongs to it').toEqual(['fsync: WAIT 0 500']);
  });

  it('leaves out what cannot be confirmed', () => {
    expect(plan(['fsync', 'replicated'], 0, 'never')).toEqual([]);
    expect(plan(['fsync', 'replicated'], 1, 'never')).toEqual(['replicated: WAIT 1 500']);
  });

  const judge = (
    level: RedisLevel,
    quorum: number,
    fsync: 'waitaof' | 'reply',
    replies: readonly unknown[],
    needed: number,
  ) => {
    const support = { replicas: 2 * quorum, quorum, fsync };
    return planConfirmations(new Set([level]), support)[0]?.isReached(replies, needed);
  };

  it.each([
    [2, 2, true],
    [3, 2, true],
    [1, 2, false],
    // In sync are fewer than the quorum: the quorum counts.
    [1, 1, false],
    [2, 0, true],
    // One more is in sync than have it.
    [2, 3, false],
    ['2', 2, false],
    [null, 2, false],
  ])('takes a quorum and all that are in sync for enough: %j of %i: %j', (reply, needed, is) => {
    expect(judge('replicated', 2, 'waitaof', [reply], needed)).toBe(is);
    expect(judge('fsync', 2, 'reply', [reply], needed)).toBe(is);
  });

  it.each([
    [[2, [1, 2]], 2, true],
    // Of the disks a quorum is enough.
    [[3, [1, 2]], 3, true],
    [[2, [1, 2]], 3, false],
    [[2, [0, 2]], 2, false],
    [[2, [1, 1]], 2, false],
    [[2, [1]], 2, false],
    [[2, 2], 2, false],
    [[2], 2, false],
    [[null, [1, 2]], 2, false],
  ])(
    'takes the disk of the primary and a quorum of others: %j of %i: %j',
    (replies, needed, is) => {
      expect(judge('fsync', 2, 'waitaof', replies, needed)).toBe(is);
    },
  );

  it('waits for nobody where no replica belongs to the deployment', () => {
    expect(judge('fsync', 0, 'waitaof', [0, [1, 0]], 1)).toBe(true);
    expect(judge('fsync', 0, 'waitaof', [0, [0, 0]], 1)).toBe(false);
  });
});

describe('readNeeded', () => {
  const before = { epoch: 7, seq: 5, timeMs: 0, offsetMs: 0 };
  const shows = (epoch: number, seq: number): Buffer => {
    const out = new ByteWriter();
    out.u8(0);
    for (const each of [epoch, seq, 0, 0]) out.i64(each);
    out.u16(3);
    return out.take();
  };

  it('is told by a node of the same epoch, at the position or beyond', () => {
    expect(readNeeded(before, shows(7, 5))).toBe(3);
    expect(readNeeded(before, shows(7, 9))).toBe(3);
    expect(readNeeded(before, shows(7, 4))).toBe(undefined);
    expect(readNeeded(before, shows(8, 9))).toBe(undefined);
  });

  it('is not told by one that is fenced, or that gave no answer', () => {
    expect(readNeeded(before, Buffer.from([1, 1]))).toBe(undefined);
    expect(readNeeded(before, undefined)).toBe(undefined);
  });
});
