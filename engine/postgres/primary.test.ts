import { describe, expect, it } from 'vitest';
import { choosePrimary, type HostState, NoPrimaryError } from './primary.ts';

const STANDBY: HostState = { kind: 'standby' };
const READ_ONLY: HostState = { kind: 'read_only' };
const AWAY: HostState = { kind: 'unreachable', reason: 'ECONNREFUSED' };
const on = (timeline: number): HostState => ({ kind: 'writable', timeline });
const reports = (...states: HostState[]) => states.map((state, i) => ({ name: `h${i}`, state }));

describe('choosePrimary', () => {
  it.each<[string, HostState[], number, string | undefined]>([
    ['the one that writes', [STANDBY, on(1)], 0, 'h1'],
    ['none of those that do not', [STANDBY, READ_ONLY, AWAY], 0, undefined],
    ['the promoted one, beside an old primary that lives', [on(1), on(2)], 1, 'h1'],
    ['the promoted one, wherever it stands', [on(3), on(2)], 1, 'h0'],
    ['never one of an older timeline than was seen', [on(1), AWAY], 2, undefined],
    ['the first of two on one timeline', [on(1), on(1)], 1, 'h0'],
    ['one whose timeline is not to be seen', [STANDBY, on(0)], 0, 'h1'],
  ])('%s', (_what, states, newest, name) => {
    expect(choosePrimary(reports(...states), newest)?.name).toBe(name);
  });
});

it('the error names each host and what it said', () => {
  const error = new NoPrimaryError(reports(AWAY, STANDBY, READ_ONLY, on(1)), 2);
  expect(error.message).toContain('h0 cannot be reached (ECONNREFUSED)');
  expect(error.message).toContain('h1 is a standby');
  expect(error.message).toContain('h2 is read-only');
  expect(error.message).toContain('h3 writes on timeline 1, but 2 was seen');
});
