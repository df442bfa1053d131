import { describe, expect, it } from 'vitest';
import { serverState } from './managed-server.ts';

const server = { pid: 1, startedAt: 'a' };
const owner = { pid: 2, startedAt: 'b' };
const recordOf = (by: typeof owner | null) => ({ process: server, owner: by, port: 20_000 });

describe('serverState', () => {
  it.each([
    { what: 'no record', record: undefined, alive: [], state: 'stopped' },
    { what: 'a dead process', record: recordOf(owner), alive: [owner], state: 'stopped' },
    { what: 'a live owner', record: recordOf(owner), alive: [server, owner], state: 'running' },
    { what: 'a dead owner', record: recordOf(owner), alive: [server], state: 'leftover' },
    { what: 'no owner', record: recordOf(null), alive: [server], state: 'running' },
  ])('$what: $state', ({ record, alive, state }) => {
    const isAlive = (identity: typeof owner) => alive.some(({ pid }) => pid === identity.pid);
    expect(serverState(record, isAlive)).toBe(state);
  });
});
