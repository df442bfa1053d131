import { expect, it } from 'vitest';
import { COMMAND_FILES, createProgram } from './program.ts';

it('every file has the commands that it is loaded for, and each is in one file', async () => {
  const all: string[] = [];
  for (const { names, load } of COMMAND_FILES) {
    expect((await load()).map((command) => command.name())).toEqual(names);
    all.push(...names);
  }
  expect(new Set(all).size).toBe(all.length);
  const help = await createProgram(undefined);
  expect(help.commands.map((command) => command.name())).toEqual(all);
}, 300_000);

it('a name that is no command gets all of them, to choose from', async () => {
  const one = await createProgram('entry');
  expect(one.commands.map((command) => command.name())).toEqual(['entry']);
  expect((await createProgram('--help')).commands).toHaveLength(
    COMMAND_FILES.flatMap(({ names }) => names).length,
  );
}, 300_000);
