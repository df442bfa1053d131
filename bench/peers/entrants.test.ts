import { expect, it } from 'vitest';
import { createEntrants } from './entrants.ts';

it('packages that cannot be had are asked for once, and each who wants them says why', async () => {
  const asked: unknown[] = [];
  const entrants = createEntrants((versions) => {
    asked.push(versions);
    return Promise.reject(new Error('npm could not install it: no network'));
  });
  const reasons: string[] = [];
  for (const { name, prepare } of entrants) {
    await prepare().catch((error: Error) => reasons.push(`${name}: ${error.message}`));
  }
  expect(reasons).toEqual([
    'Medusa inventory, service: npm could not install it: no network',
    'Medusa inventory, workflow: npm could not install it: no network',
  ]);
  expect(asked).toHaveLength(1);
});
