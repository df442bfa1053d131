import { describe, expect, it } from 'vitest';
import type { Address } from '../runtime/redis-url.ts';
import { countSentinels, rankPrimaries, type SentinelView } from './sentinel-weigh.ts';

const OLD: Address = { host: '10.0.0.1', port: 6379 };
const NEW: Address = { host: '10.0.0.2', port: 6379 };
const IDS = ['s1', 's2', 's3'];

function view(sentinel: string, primary: Address, configEpoch: number): SentinelView {
  return {
    sentinel,
    primary,
    configEpoch,
    isTroubled: false,
    others: IDS.filter((id) => id !== sentinel).map((id) => ({
      id,
      address: { host: id, port: 26_379 },
    })),
  };
}

const best = (...args: Parameters<typeof rankPrimaries>) => rankPrimaries(...args)[0]?.primary;

describe('Sentinels that disagree', () => {
  it('one that tells of a newer failover outweighs two that have not heard of it', () => {
    const views = [view('s1', OLD, 3), view('s2', OLD, 3), view('s3', NEW, 4)];
    expect(best(views, { primary: OLD, configEpoch: 3 })).toBe(NEW);
    expect(best(views, undefined)).toBe(NEW);
  });

  it('the minority that was cut off with the old primary is outweighed', () => {
    const views = [view('s1', OLD, 3), view('s2', NEW, 4), view('s3', NEW, 4)];
    expect(best(views, undefined)).toBe(NEW);
  });

  it('one that was set up anew with a wrong address is outvoted at its epoch', () => {
    expect(best([view('s1', NEW, 0), view('s2', OLD, 0), view('s3', OLD, 0)], undefined)).toBe(OLD);
  });

  it('a lone voice of a lower epoch leads nowhere', () => {
    const believed = { primary: NEW, configEpoch: 4 };
    expect(rankPrimaries([view('s1', OLD, 3)], believed)).toEqual([]);
  });

  it('a majority may go back to a lower epoch: the Sentinels were set up anew', () => {
    const believed = { primary: OLD, configEpoch: 9 };
    expect(best([view('s1', NEW, 0), view('s2', NEW, 0)], believed)).toBe(NEW);
    expect(best([view('s1', NEW, 0)], believed)).toBeUndefined();
  });

  it('at a tie the one that is believed in stays', () => {
    const views = [view('s1', NEW, 3), view('s2', OLD, 3)];
    expect(best(views, { primary: OLD, configEpoch: 3 })).toBe(OLD);
    expect(best(views, { primary: NEW, configEpoch: 3 })).toBe(NEW);
  });

  it('one Sentinel under two addresses has one voice', () => {
    const views = [view('s1', NEW, 3), view('s1', NEW, 3), view('s2', OLD, 3), view('s3', OLD, 3)];
    expect(rankPrimaries(views, undefined).map(({ votes }) => votes)).toEqual([2, 1]);
    expect(countSentinels(views)).toBe(3);
  });

  it('a wrong address of the highest epoch comes first, and the next stands behind it', () => {
    const nowhere = { host: '203.0.113.9', port: 1 };
    const views = [view('s1', nowhere, 99), view('s2', OLD, 3), view('s3', OLD, 3)];
    expect(rankPrimaries(views, undefined).map(({ primary }) => primary)).toEqual([nowhere, OLD]);
  });
});
