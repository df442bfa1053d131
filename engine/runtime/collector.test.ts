/** What V8 decides of code whose objects live long, by its own trace; in processes of their own. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../deploy/local/paths.ts';

/** Objects of one place of the code, all of which survive many collections. */
const KEEPING = `
  const kept = [];
  const make = (i) => ({ i, list: [i, i + 1], text: { i } });
  for (let i = 0; i < 3_000_000; i += 1) kept[i % 400_000] = make(i);
`;

function tenured(before: string): number {
  const code = `${before}\n${KEEPING}`;
  const args = ['--trace-pretenuring-statistics', '--input-type=module', '-e', code];
  const said = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' });
  return said.split('\n').filter((line) => line.endsWith('=> tenure')).length;
}

it('makes nothing among the old objects, whatever survived the first collections', () => {
  const collector = join(packageRoot(), 'dist/engine/runtime/collector.js');
  const told = `(await import(${JSON.stringify(collector)})).expectShortLives();`;
  expect(tenured('')).toBeGreaterThan(0);
  expect(tenured(told)).toBe(0);
});
