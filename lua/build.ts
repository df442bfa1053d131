/**
 * Builds lua/generated/scripts.ts: puts includes and constants into the commands, strips comments,
 * and reads each command's header, which is its contract (grammar: lua/README.md).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LUA_CONSTANTS } from './constants.ts';

export class LuaBuildError extends Error {
  override readonly name = 'LuaBuildError';
}

export interface BuiltScript {
  readonly name: string;
  readonly command: string;
  readonly source: string;
  /** One line a number of ARGV. */
  readonly args: readonly string[];
}

interface Header {
  readonly args: string[];
  readonly variants: { readonly name: string; readonly flags: string }[];
}

export type ReadInclude = (name: string) => string;

export function buildCommand(command: string, text: string, read: ReadInclude): BuiltScript[] {
  const header = parseHeader(command, text);
  const body = strip(constants(command, expand(command, text, read, [])));
  return header.variants.map(({ name, flags }) => ({
    name,
    command,
    source: `#!lua${flags === '' ? '' : ` flags=${flags}`}\n${body}`,
    args: header.args,
  }));
}

export function parseHeader(command: string, text: string): Header {
  const match = /^--\[\[\n([\s\S]*?)\]\]/.exec(text);
  const lines = match?.[1]?.split('\n') ?? [];
  const fail = (what: string): never => {
    throw new LuaBuildError(`commands/${command}.lua: ${what} (the grammar is in lua/README.md)`);
  };
  if (match === null) fail('it must open with a --[[ header ]]');
  if (!lines.some((line) => /^KEYS\[1\] +meta$/.test(line)))
    fail('the header lacks "KEYS[1]  meta"');
  const args = [...text.slice(0, match?.[0].length).matchAll(/ARGV\[(\d+)\] +(?:>?)([^;\n,]+)/g)]
    .filter(([, number], i) => Number(number) === i + 1)
    .map(([, , what]) => (what ?? '').trim());
  for (const section of ['Returns', 'Variants']) {
    if (!lines.some((line) => line.startsWith(`${section} `)))
      fail(`the header lacks "${section}"`);
  }
  const last = lines.findLast((line) => line.startsWith('Variants ')) ?? '';
  const variants = last
    .slice('Variants '.length)
    .split(';')
    .map((variant) => {
      const [, name, flags] = /^\s*(\w+): flags=([\w,-]*)\s*$/.exec(variant) ?? [];
      if (name === undefined) fail(`"${variant.trim()}" is no variant; write name: flags=...`);
      return { name: name ?? '', flags: flags ?? '' };
    });
  return { args, variants };
}

function expand(name: string, text: string, read: ReadInclude, stack: readonly string[]): string {
  const path = [...stack, name];
  return text.replace(/^-- @include (\S+)$/gm, (_, include: string) => {
    if (path.includes(include)) {
      throw new LuaBuildError(`include cycle: ${[...path, include].join(' -> ')}`);
    }
    let content: string;
    try {
      content = read(include);
    } catch {
      throw new LuaBuildError(`includes/${include}.lua is missing: ${path.join(' -> ')}`);
    }
    return expand(include, content, read, path);
  });
}

const CONSTANT = new RegExp(`\\b(${Object.keys(LUA_CONSTANTS).join('|')})\\.(\\w+)`, 'g');

function constants(command: string, text: string): string {
  return text.replace(CONSTANT, (token, group: string, name: string) => {
    const value = LUA_CONSTANTS[group]?.[name];
    if (value === undefined) {
      throw new LuaBuildError(`${command}: ${token} is not among lua/constants.ts`);
    }
    return String(value);
  });
}

/** Comments and blank lines go; what Redis keeps in memory is the code alone. */
function strip(text: string): string {
  return text
    .replace(/--\[\[[\s\S]*?\]\]/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s)--(?!\[\[).*$/, '').trimEnd())
    .filter((line) => line !== '')
    .join('\n')
    .concat('\n');
}

export function buildAll(folder: string): BuiltScript[] {
  const read = (name: string) => readFileSync(join(folder, 'includes', `${name}.lua`), 'utf8');
  return readdirSync(join(folder, 'commands'))
    .filter((file) => file.endsWith('.lua'))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(folder, 'commands', file), 'utf8');
      return buildCommand(file.slice(0, -4), text, read);
    });
}

export function renderModule(scripts: readonly BuiltScript[]): string {
  const entries = scripts.map((script) =>
    [
      `  ${script.name}: {`,
      `    args: ${JSON.stringify(script.args)},`,
      `    source: ${JSON.stringify(script.source)},`,
      '  },',
    ].join('\n'),
  );
  return [
    '// DO NOT EDIT: built by lua/build.ts from lua/commands and lua/includes (npm run generate).',
    'export const SCRIPTS = {',
    ...entries,
    '} as const;',
    '',
    'export type ScriptName = keyof typeof SCRIPTS;',
    '',
  ].join('\n');
}

export function writeScripts(folder: string): void {
  writeFileSync(join(folder, 'generated', 'scripts.ts'), renderModule(buildAll(folder)));
}
