/** Which variables of an environment name the stack of a directory itself. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withoutOwn, writeMembers } from './stack-members.ts';
import { fromEnvironment } from './stack-servers.ts';

const OWN = {
  REDIS_URL: 'redis+sentinel://127.0.0.1:1,127.0.0.2:1,127.0.0.3:1/holdfast',
  DATABASE_URL: 'postgresql://holdfast@127.0.0.1:2,127.0.0.1:3/holdfast',
  KAFKA_BROKERS: '127.0.0.1:4',
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-members-'));
  const [redis, postgres, kafka] = Object.values(OWN);
  if (redis !== undefined && postgres !== undefined && kafka !== undefined) {
    writeMembers(directory, { redis, postgres, kafka });
  }
});
afterAll(() => rmSync(directory, { recursive: true }));

const left = (env: NodeJS.ProcessEnv, of = directory): (string | undefined)[] =>
  (['REDIS_URL', 'DATABASE_URL', 'KAFKA_BROKERS'] as const).map((variable) =>
    fromEnvironment(variable, withoutOwn(of, env)),
  );

it('takes out what names this stack, with a query and with the hosts the other way round too', () => {
  expect(left(OWN)).toEqual([undefined, undefined, undefined]);
  const promoted = 'postgresql://holdfast@127.0.0.1:3,127.0.0.1:2/holdfast';
  const query = '?target_session_attrs=read-write';
  for (const DATABASE_URL of [OWN.DATABASE_URL + query, promoted, promoted + query]) {
    expect(left({ ...OWN, DATABASE_URL })[1]).toBeUndefined();
  }
  expect(withoutOwn(directory, { ...OWN, PATH: '/bin' }).PATH).toBe('/bin');
});

it.each([
  { REDIS_URL: 'redis://127.0.0.1:1/0' },
  { DATABASE_URL: 'postgresql://holdfast@127.0.0.1:2/holdfast' },
  { DATABASE_URL: 'postgresql://holdfast@127.0.0.1:2,127.0.0.1:3/other' },
  { KAFKA_BROKERS: '127.0.0.1:5' },
])('leaves what names others: %j', (named) => {
  expect(left(named).filter(Boolean)).toEqual(Object.values(named));
});

it('leaves all where the stack never came up', () => {
  expect(left(OWN, join(directory, 'none'))).toEqual(Object.values(OWN));
});
