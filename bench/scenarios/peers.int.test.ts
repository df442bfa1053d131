/** The comparison runs, in small, to its audits. What it measures means nothing here. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { createEntrants } from '../peers/entrants.ts';
import { HOLDFAST } from '../peers/holdfast.ts';
import { toReport } from '../peers/report.ts';
import { runPeers } from './peers.ts';

const TIMEOUT_MS = 400_000;
const PEER = 'Redis, DECR and INCR';
const ABSENT = 'nobody';

it('the engine and a peer, their stores killed, and both audited', {
  timeout: TIMEOUT_MS,
}, async () => {
  const directory = join(serverDirectory(currentTestRun(), 'peers'), 'stores');
  mkdirSync(directory);
  const entrants = createEntrants().filter(({ name }) => name === HOLDFAST || name === PEER);
  const [first] = entrants;
  if (first === undefined) throw new Error('the engine takes part in no comparison');
  const absent = { ...first, name: ABSENT, prepare: () => Promise.reject(new Error('not here')) };
  const report = await runPeers({
    drop: { shoppers: 100, units: 20 },
    connections: 4,
    seconds: 0.5,
    warmUpSeconds: 0.1,
    onProgress: () => undefined,
    directory,
    entrants: [...entrants, absent],
  });
  const [ours, peer] = report.contenders;
  expect(report).toMatchObject({ ok: true, absent: [{ name: ABSENT, reason: 'not here' }] });
  expect(ours?.audit).toMatchObject({ ok: true, oversold: 0, leaked: 0, lost: 0, uncounted: 0 });
  expect(ours?.audit.sold).toBeGreaterThan(0);
  expect(peer?.audit).toMatchObject({ oversold: 0, lost: 0, uncounted: 0 });
  for (const { closed, open } of [ours, peer].flatMap((each) => each ?? [])) {
    expect(Object.keys(closed.load.byStatus)).toEqual(['201']);
    expect(open.load.latency.count).toBe(open.load.answers);
  }
  const { audit, tables = [], facts } = toReport(report);
  expect(audit.ok).toBe(true);
  expect(audit.words.join()).toContain(`${ABSENT} has no result: not here`);
  expect(tables.map(({ rows }) => rows.map(([name]) => name))).toEqual([
    [HOLDFAST, PEER],
    [HOLDFAST, PEER],
  ]);
  expect(facts.map(({ what }) => what)).toContain(`ours : ${PEER}`);
});
