/** The house rules that a machine can check: who may import whom, and how long things may be. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const FOLDERS = ['engine', 'lua', 'persister', 'reconciler', 'bench', 'deploy'];

/**
 * Layers from the ground up. A file may import from its own layer's folder, and from the layers
 * that its row names.
 */
const BASE = ['engine/domain'];
const LOWER = [...BASE, 'engine/events', 'engine/runtime', 'lua'];
const STORES = ['engine/redis', 'engine/postgres', 'engine/kafka', 'engine/log'];
const CAPABILITIES = ['engine/reservations', 'engine/stock'];
const WORKERS = [...LOWER, ...STORES];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'engine/domain': [],
  lua: BASE,
  'engine/events': BASE,
  'engine/runtime': BASE,
  'engine/cluster': LOWER,
  'engine/redis': LOWER,
  'engine/postgres': [...LOWER, 'engine/log'],
  'engine/kafka': LOWER,
  'engine/log': WORKERS,
  'engine/relay': WORKERS,
  'engine/reservations': [...WORKERS, ...CAPABILITIES],
  'engine/stock': [...WORKERS, ...CAPABILITIES],
  'engine/engine.ts': [...WORKERS, ...CAPABILITIES],
  'engine/http': [...WORKERS, ...CAPABILITIES, 'engine/engine.ts'],
  persister: WORKERS,
  reconciler: [...WORKERS, 'engine/testing/auditor'],
  deploy: [],
  // The auditor is independent: it shares the names of keys with the engine and nothing else.
  'engine/testing/auditor': [],
};
/** These stand above all else: the commands, the tests' own tools, the bench. */
const FREE = ['engine/cli', 'engine/main.ts', 'engine/testing', 'bench'];

/** Longer files and functions than these need a row, and a row may only shrink. */
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const LONG_FILES: Readonly<Record<string, number>> = {
  'reconciler/audit/audit.int.test.ts': 535,
};
const LONG_FUNCTIONS: Readonly<Record<string, number>> = {
  'engine/redis/lane.ts createLane': 185,
  'bench/scenarios/shop.ts createShop': 83,
};

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function readSources(): Source[] {
  return FOLDERS.flatMap((folder) =>
    existsSync(join(ROOT, folder))
      ? readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.ts') && !file.startsWith('generated'))
          .map((file) => join(folder, file))
      : [],
  ).map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const imports = [...text.matchAll(/^(?:import|export)\b[^;]*?from '(\.[^']+)';/gms)].map(
      ([, to]) => relative(ROOT, resolve(ROOT, dirname(path), to ?? '')),
    );
    return { path, text, imports };
  });
}

const isTest = (path: string): boolean => /\.test\.ts$|\/testing\/(?!auditor)/.test(path);
const inLayer = (path: string, layer: string): boolean =>
  path === layer || path.startsWith(`${layer}/`);

function layerOf(path: string): string | undefined {
  return [...Object.keys(MAY_IMPORT), ...FREE].find((layer) => inLayer(path, layer));
}

function wrongImports(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => !isTest(path))
    .flatMap(({ path, imports }) => {
      const layer = layerOf(path);
      if (layer === undefined) return path.includes('/') ? [`${path} stands in no layer`] : [];
      if (FREE.includes(layer)) return [];
      const allowed = [layer, ...(MAY_IMPORT[layer] ?? [])];
      return imports
        .filter((to) => !allowed.some((each) => inLayer(to, each)))
        .map((to) => `${path} imports ${to}`);
    });
}

function findCycle(sources: readonly Source[]): string[] | undefined {
  const imports = new Map(sources.map((source) => [source.path, source.imports]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const to of imports.get(path) ?? []) {
      const cycle = visit(to, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of sources) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Named functions and their lines, by the formatter's indentation. */
function functionLengths(source: Source): { name: string; lines: number }[] {
  const lines = source.text.split('\n');
  return lines.flatMap((line, at) => {
    const match =
      /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|const (\w+) = (?:async )?\([^)]*\)[^=]*=>)/.exec(
        line,
      );
    if (match === null || !/[{(]$/.test(line)) return [];
    // A first parameter of several lines ends in `}: Of): Given {`, which is not its end.
    const isEnd = (each: string): boolean =>
      each.startsWith(`${match[1]}}`) && /^\s*\}\)*[;,]?$/.test(each);
    const end = lines.findIndex((each, i) => i > at && isEnd(each));
    return end < 0 ? [] : [{ name: match[2] ?? match[3] ?? '', lines: end - at + 1 }];
  });
}

describe('the house', () => {
  const sources = readSources();

  it('imports only downwards', () => {
    expect(wrongImports(sources)).toEqual([]);
  });

  it('has no circle of imports', () => {
    expect(findCycle(sources)).toBeUndefined();
  });

  it('has no file that is too long', () => {
    const long = sources.filter(
      ({ path, text }) => text.split('\n').length > (LONG_FILES[path] ?? FILE_LINES_MAX),
    );
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('has no function that is too long', () => {
    const long = sources
      .filter(({ path }) => !isTest(path))
      .flatMap((source) =>
        functionLengths(source)
          .map(({ name, lines }) => ({ where: `${source.path} ${name}`, lines }))
          .filter(({ where, lines }) => lines > (LONG_FUNCTIONS[where] ?? FUNCTION_LINES_MAX)),
      );
    expect(long).toEqual([]);
  });

  it('has a README in each folder that holds code', () => {
    const folders = new Set(
      sources.map(({ path }) =>
        path
          .split('/')
          .slice(0, path.startsWith('engine/') ? 2 : 1)
          .join('/'),
      ),
    );
    const without = [...folders]
      .filter((folder) => !folder.endsWith('.ts'))
      .filter((folder) => !existsSync(join(ROOT, folder, 'README.md')));
    expect(without).toEqual([]);
  });
});

describe('the checks themselves', () => {
  const source = (path: string, imports: string[], text = '') => ({ path, text, imports });

  it('sees an import that points upwards', () => {
    expect(wrongImports([source('engine/domain/a.ts', ['engine/redis/b.ts'])])).toHaveLength(1);
    expect(wrongImports([source('persister/a.ts', ['reconciler/b.ts'])])).toHaveLength(1);
  });

  it('sees a circle', () => {
    const circle = findCycle([source('a', ['b']), source('b', ['c']), source('c', ['a'])]);
    expect(circle).toEqual(['a', 'b', 'c', 'a']);
  });

  it('measures a function', () => {
    const text = ['export function f(): void {', ...Array(80).fill('  x();'), '}'].join('\n');
    expect(functionLengths(source('a', [], text))).toEqual([{ name: 'f', lines: 82 }]);
    const named = text.replace('()', '({\n  a,\n}: A)');
    expect(functionLengths(source('a', [], named))).toEqual([{ name: 'f', lines: 84 }]);
  });
});
