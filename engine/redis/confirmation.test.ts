import { describe, expect, it } from 'vitest';
import type { RedisLevel } from '../domain/durability.ts';
import { ByteWriter } from '../events/bytes.ts';
import { isSameHistory, planConfirmations } from './confirmation.ts';
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
  ) =>
    planConfirmations(new Set(levels), { replicas: 2 * quorum, quorum, fsync }, 500).map(
      ({ level, command, args }) => `${level}: ${command} ${args.join(' ')}`,
    );

  it('asks the replicas before the disk, each for its own level', () => {
    expect(plan(['fsync', 'replicated'], 1, 'waitaof')).toEqual([
      'replicated: WAIT 1 500',
      'fsync: WAITAOF 1 1 500',
    ]);
    expect(plan(['replicated'], 2, 'waitaof')).toEqual(['replicated: WAIT 2 500']);
    expect(plan(['fsync'], 0, 'waitaof')).toEqual(['fsync: WAITAOF 1 0 500']);
  });

  it('asks once where each reply is behind the fsync', () => {
    expect(plan(['fsync', 'replicated'], 1, 'reply')).toEqual(['fsync: WAIT 1 500']);
    expect(plan(['fsync'], 0, 'reply')).toEqual(['fsync: WAIT 0 500']);
  });

  it('leaves out what cannot be confirmed', () => {
    expect(plan(['fsync', 'replicated'], 0, 'never')).toEqual([]);
    expect(plan(['fsync', 'replicated'], 1, 'never')).toEqual(['replicated: WAIT 1 500']);
  });

  it('takes no smaller number, and nothing that is none, for enough', () => {
    const judge = (levels: RedisLevel[], reply: unknown) =>
      planConfirmations(new Set(levels), { replicas: 3, quorum: 2, fsync: 'waitaof' }, 1).map(
        ({ isReached }) => isReached(reply),
      );
    expect([0, 1, 2, 3, '2', null].map((reply) => judge(['replicated'], reply)[0])).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
    const replies = [[1, 2], [0, 2], [1, 1], [1], 2, null];
    expect(replies.map((reply) => judge(['fsync'], reply)[0])).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('isSameHistory', () => {
  const before = { epoch: 7, seq: 5, timeMs: 0, offsetMs: 0 };
  const shows = (epoch: number, seq: number): Buffer => {
    const out = new ByteWriter();
    out.u8(0);
    for (const each of [epoch, seq, 0, 0]) out.i64(each);
    return out.take();
  };

  it('is the same epoch, at the position or beyond', () => {
    expect(isSameHistory(before, shows(7, 5))).toBe(true);
    expect(isSameHistory(before, shows(7, 9))).toBe(true);
    expect(isSameHistory(before, shows(7, 4))).toBe(false);
    expect(isSameHistory(before, shows(8, 9))).toBe(false);
  });

  it('is not what is fenced, nor what gave no answer', () => {
    expect(isSameHistory(before, Buffer.from([1, 1]))).toBe(false);
    expect(isSameHistory(before, undefined)).toBe(false);
  });
});
