import { describe, expect, it } from 'vitest';
import {
  type AfterDeath,
  afterDeath,
  DEATHS_MAX,
  type Death,
  PAUSE_MS_MAX,
  PAUSE_MS_MIN,
} from './restarts.ts';

const decided = (death: Partial<Death>): AfterDeath =>
  afterDeath({
    deathsInARow: 1,
    deathsInSilence: 1,
    places: 2,
    isFinal: false,
    othersAnswering: 1,
    othersWhole: 1,
    ...death,
  });
const restart = (pauseMs: number): AfterDeath => ({ kind: 'restart', pauseMs });
const GIVE_UP: AfterDeath = { kind: 'give_up' };
const ALONE = { othersAnswering: 0, othersWhole: 0 };

describe('after the death of a worker', () => {
  it('starts the next one at once, then after pauses that double up to a bound', () => {
    const pauses = [1, 2, 3, 4].map((deathsInARow) => decided({ deathsInARow }));
    expect(pauses).toEqual([0, PAUSE_MS_MIN, 2 * PAUSE_MS_MIN, 4 * PAUSE_MS_MIN].map(restart));
    expect(decided({ deathsInARow: 1_000 })).toEqual(restart(PAUSE_MS_MAX));
  });

  it('never gives up while others answer', () => {
    expect(decided({ deathsInARow: 99, deathsInSilence: 99 })).toEqual(restart(PAUSE_MS_MAX));
  });

  it('gives up when none comes to answer, after a bound for each place', () => {
    const last = DEATHS_MAX * 2;
    expect(decided({ ...ALONE, deathsInSilence: last - 1 })).toEqual(restart(0));
    expect(decided({ ...ALONE, deathsInSilence: last })).toEqual(GIVE_UP);
    expect(decided({ ...ALONE, deathsInSilence: last, places: 3 })).toEqual(restart(0));
  });

  it('tells at once what no time mends, unless another one sells', () => {
    expect(decided({ ...ALONE, isFinal: true })).toEqual(GIVE_UP);
    expect(decided({ isFinal: true, othersWhole: 0 })).toEqual(GIVE_UP);
    expect(decided({ isFinal: true })).toEqual(restart(0));
  });
});
