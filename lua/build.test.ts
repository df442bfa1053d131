import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildAll, buildCommand, LuaBuildError, renderModule } from './build.ts';

const HEADER = `--[[
What it does.

KEYS[1]  meta
ARGV[1]  one
ARGV[2]  two, in ms
Returns  nothing
Variants one: flags=; two: flags=allow-oom
]]
`;
const none = (): string => {
  throw new Error('no includes here');
};

describe('the script build', () => {
  it('makes a script of each variant, its flags in the first line', () => {
    const built = buildCommand('x', `${HEADER}return 1\n`, none);
    expect(built.map(({ name, source }) => [name, source])).toEqual([
      ['one', '#!lua\nreturn 1\n'],
      ['two', '#!lua flags=allow-oom\nreturn 1\n'],
    ]);
    expect(built[0]?.args).toEqual(['one', 'two']);
  });

  it('puts includes and numbers in their place, and leaves comments out', () => {
    const text = `${HEADER}-- why\n-- @include a\nreturn OUTCOME.created, STATE.held -- here\n`;
    const [built] = buildCommand('x', text, () => 'local a = KIND.reserve\n');
    expect(built?.source).toBe('#!lua\nlocal a = 1\nreturn 17, 1\n');
  });

  it.each([
    ['a cycle', (name: string) => `-- @include ${name === 'a' ? 'b' : 'a'}\n`, /a -> b -> a/],
    ['a missing file', none, /includes\/a\.lua is missing: x/],
  ])('names the path of %s', (_, read, message) => {
    expect(() => buildCommand('x', `${HEADER}-- @include a\n`, read)).toThrow(message);
  });

  it.each([
    ['no header', 'return 1\n'],
    ['no key', HEADER.replace('KEYS[1]  meta\n', '')],
    ['no variants', HEADER.replace(/Variants.*\n/, '')],
    ['a variant without flags', HEADER.replace('one: flags=', 'one')],
    ['an unknown outcome', `${HEADER}return OUTCOME.nonsense\n`],
  ])('refuses %s', (_, text) => {
    expect(() => buildCommand('x', text, none)).toThrow(LuaBuildError);
  });

  it('gives what is committed', () => {
    const committed = readFileSync(join(import.meta.dirname, 'generated', 'scripts.ts'), 'utf8');
    expect(renderModule(buildAll(import.meta.dirname)), 'run `npm run generate`').toBe(committed);
  });
});
