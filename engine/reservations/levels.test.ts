import { describe, expect, it } from 'vitest';
import type { ClassLevels, DurableVerb, LevelLacks } from '../domain/durability.ts';
import type { Sku } from '../domain/ids.ts';
import type { LevelSettings } from './levels.ts';
import { resolveLevels, usualLevel } from './levels.ts';

const ONE_REDIS: LevelLacks = { replicated: 'it has no replicas', fsync: 'it has no disk' };
const CLASSES: Readonly<Record<string, ClassLevels>> = {
  hot: { reserve: 'memory', release: 'logged' },
  jewel: { reserve: 'logged', commit: 'persisted', ship: 'memory' },
};
const CLASS_OF: Readonly<Record<string, string>> = { lamp: 'hot', bulb: 'hot', ring: 'jewel' };

const settings = (more: Partial<LevelSettings> = {}): LevelSettings => ({
  reserve: undefined,
  commit: 'logged',
  stock: 'persisted',
  classes: new Map(),
  ...more,
});

function tables(more: Partial<LevelSettings> = {}, lacks: LevelLacks = {}) {
  const resolved = resolveLevels(settings(more), lacks);
  if ('faults' in resolved) throw new Error(resolved.faults.join('\n'));
  return resolved;
}

describe('the levels of a deployment', () => {
  it('are replicated for holds where there are replicas, else memory', () => {
    expect(tables().levels).toMatchObject({ reserve: 'replicated', extend: 'replicated' });
    expect(tables({}, ONE_REDIS).levels).toEqual({
      ...{ reserve: 'memory', extend: 'memory', release: 'memory' },
      ...{ commit: 'logged', cancel: 'logged', ship: 'logged', stock: 'persisted' },
    });
    expect(tables({ reserve: 'memory' }).levels.reserve).toBe('memory');
  });

  it('are refused, all at once, where they cannot be given', () => {
    const classes = new Map([['jewel', { commit: 'fsync' } satisfies ClassLevels]]);
    expect(resolveLevels(settings({ reserve: 'replicated', classes }), ONE_REDIS)).toEqual({
      faults: [
        'HOLDFAST_RESERVE_DURABILITY (reserve): it has no replicas',
        'HOLDFAST_DURABILITY_CLASSES, class jewel (commit): it has no disk',
      ],
    });
  });
});

describe('the usual level', () => {
  const policy = {
    ...tables({ classes: new Map(Object.entries(CLASSES)) }),
    classOf: (sku: Sku) => CLASS_OF[sku],
    lacks: {},
  };
  const usual = (verb: DurableVerb, ...skus: string[]) =>
    usualLevel(
      verb,
      skus.map((sku) => ({ sku: sku as Sku })),
      policy,
    );

  it('is the class’s where it says one, with what goes with it, else the deployment’s', () => {
    expect(usual('reserve', 'lamp')).toBe('memory');
    expect(usual('extend', 'lamp')).toBe('memory');
    expect(usual('commit', 'lamp')).toBe('logged');
    expect(usual('cancel', 'ring')).toBe('persisted');
    expect(usual('ship', 'ring')).toBe('memory');
    expect(usual('reserve', 'book')).toBe('replicated');
  });

  it('is the strongest of the lines', () => {
    expect(usual('reserve', 'lamp', 'bulb')).toBe('memory');
    expect(usual('reserve', 'lamp', 'book')).toBe('replicated');
    expect(usual('reserve', 'lamp', 'book', 'ring')).toBe('logged');
  });

  it('is the strongest of all where the lines are not known any more', () => {
    expect(usualLevel('commit', undefined, policy)).toBe('persisted');
    expect(usualLevel('release', [], policy)).toBe('logged');
    expect(usualLevel('ship', undefined, policy)).toBe('logged');
  });
});
