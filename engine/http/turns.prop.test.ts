/** A server whose time is counted, under more than it can do: who waits, how long, and who is refused. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

const WAIT_MS = 50;
const LET_IN_MIN = 16;
/** That any turn may give. */
const REFUSED_MIN = 32;
const LIMITS = { waitMsMax: WAIT_MS, letInMin: LET_IN_MIN };
/** Of the turns before: so many long ones are an overload. */
const RECENT = 4;
const OVERLOAD = 2;

interface Server {
  /** Of one that is let in, its answer included; of a refusal. */
  readonly acceptMs: number;
  readonly refuseMs: number;
  readonly connections: number;
  readonly turns: number;
}

interface Outcome {
  readonly accepted: number;
  readonly refused: number;
  /** Though fewer than OVERLOAD of the RECENT turns before were long. */
  readonly refusedInStalls: number;
  /** Of those who were let in beyond the least, in an overload: from when they may have come. */
  readonly waitedMsMax: number;
  /** Turns that a refusal waited for. */
  readonly heldTurnsMax: number;
  readonly ms: number;
}

/** Each connection asks again in the turn after its answer, as in the worst crowd. */
function crowd({ acceptMs, refuseMs, connections, turns: count }: Server): Outcome {
  const turns = new Turns(LIMITS);
  const held: number[] = [];
  const wasLong: boolean[] = [];
  let [nowMs, ready, accepted, refused, waitedMsMax, heldTurnsMax] = [0, connections, 0, 0, 0, 0];
  let [beganBeforeMs, refusedInStalls] = [0, 0];
  for (let turn = 0; turn < count; turn++) {
    const beganMs = nowMs;
    const isOverload = wasLong.slice(-RECENT).filter(Boolean).length >= OVERLOAD;
    let [next, isLong] = [0, false];
    if (ready > 0) turns.begin({ nowMs, idleMs: 0 });
    for (let i = 0; i < ready; i++) {
      const waitedMs = nowMs - beganBeforeMs;
      isLong ||= waitedMs > WAIT_MS;
      if (turns.letsIn(nowMs, 0, 1)) {
        if (isOverload && next >= LET_IN_MIN) waitedMsMax = Math.max(waitedMsMax, waitedMs);
        nowMs += acceptMs;
        accepted++;
        next++;
      } else {
        if (!isOverload) refusedInStalls++;
        held.push(turn);
      }
    }
    while (held.length > 0 && turns.refusesNow()) {
      heldTurnsMax = Math.max(heldTurnsMax, turn - (held.shift() ?? 0));
      nowMs += refuseMs;
      refused++;
      next++;
    }
    turns.end({ nowMs, idleMs: 0 });
    wasLong.push(isLong);
    beganBeforeMs = beganMs;
    ready = next;
  }
  return { accepted, refused, refusedInStalls, waitedMsMax, heldTurnsMax, ms: nowMs };
}

const servers = fc.record({
  acceptMs: fc.double({ min: 0.02, max: 0.5, noNaN: true }),
  refuseMs: fc.double({ min: 0.005, max: 0.01, noNaN: true }),
  connections: fc.integer({ min: 1, max: 2_000 }),
  turns: fc.constant(60),
});

it('in an overload, and only then, nobody is let in who may have waited longer than the bound', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { waitedMsMax, refusedInStalls } = crowd(server);
      expect(waitedMsMax).toBeLessThanOrEqual(WAIT_MS);
      expect(refusedInStalls).toBe(0);
    }),
  );
});

it('what is refused takes no more than its share, however many there are', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { accepted, refused, ms } = crowd(server);
      expect(refused).toBeLessThanOrEqual(accepted / 8 + REFUSED_MIN * server.turns);
      // Most of the time is the work of those who are let in; the rest is what the least refusals cost a turn.
      const spareMs = (REFUSED_MIN * server.turns + accepted / 8) * server.refuseMs;
      expect(accepted * server.acceptMs).toBeGreaterThanOrEqual((ms - spareMs) * 0.999);
    }),
  );
});

it('a crowd that two turns can take in their time is let in whole', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const few = Math.min(server.connections, Math.floor(WAIT_MS / 2 / server.acceptMs));
      expect(crowd({ ...server, connections: Math.max(1, few) }).refused).toBe(0);
    }),
  );
});

it('every refusal is given, and in turn', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { heldTurnsMax } = crowd(server);
      // So many in each turn, of at most one for each connection.
      expect(heldTurnsMax).toBeLessThanOrEqual(Math.ceil(server.connections / REFUSED_MIN));
    }),
  );
});

/** A turn in which so many are read, the last of them after `longMs`; whether that one is let in. */
function turnOf(turns: Turns, fromMs: number, idleMs: number, longMs: number): boolean {
  turns.begin({ nowMs: fromMs, idleMs });
  for (let i = 0; i < LET_IN_MIN; i++) turns.letsIn(fromMs, 0, 1);
  const isLetIn = turns.letsIn(fromMs + longMs, 0, 1);
  turns.end({ nowMs: fromMs + longMs, idleMs });
  return isLetIn;
}

it('a stall, which its own turn sees and the next, refuses nobody', () => {
  const turns = new Turns(LIMITS);
  expect(turnOf(turns, 0, 0, 500)).toBe(true);
  // These may have come when the stall began.
  expect(turnOf(turns, 500, 0, 1)).toBe(true);
  expect(turnOf(turns, 501, 0, 1)).toBe(true);
  expect(turnOf(turns, 502, 0, 500)).toBe(false);
});

it('a turn for which the loop has slept owes nothing to the one before', () => {
  const late = (sleptMs: number): boolean => {
    const turns = new Turns(LIMITS);
    for (const fromMs of [0, 100, 200]) turnOf(turns, fromMs, 0, 100);
    return turnOf(turns, 300 + sleptMs, sleptMs, 1);
  };
  expect(late(0)).toBe(false);
  expect(late(10)).toBe(true);
});

it('four turns that are not long end an overload', () => {
  const turns = new Turns(LIMITS);
  for (const fromMs of [0, 100, 200]) turnOf(turns, fromMs, 0, 100);
  const atMs = (turn: number): number => 1_000 + turn * 10;
  for (let turn = 0; turn < RECENT; turn++) turnOf(turns, atMs(turn), atMs(turn), 1);
  expect(turnOf(turns, 2_000, 2_000, 100)).toBe(true);
});

it('who is patient is let in for longer', () => {
  const turns = new Turns(LIMITS);
  for (const fromMs of [0, 100, 200]) turnOf(turns, fromMs, 0, 100);
  // From the beginning of the turn before.
  turns.begin({ nowMs: 300, idleMs: 0 });
  for (let i = 0; i < LET_IN_MIN; i++) turns.letsIn(300, 0, 1);
  expect(turns.letsIn(300, 0, 1)).toBe(false);
  expect(turns.letsIn(300, 0, 10)).toBe(true);
  expect(turns.letsIn(200 + WAIT_MS * 10 + 1, 0, 10)).toBe(false);
});

it('what a request will wait counts as what it has waited does', () => {
  const turns = new Turns(LIMITS);
  for (const fromMs of [0, 100, 200]) turnOf(turns, fromMs, 0, 100);
  // From the beginning of the turn before.
  turns.begin({ nowMs: 210, idleMs: 0 });
  const aheadMs = WAIT_MS - 10;
  expect(turns.letsIn(210, aheadMs, 1)).toBe(true);
  expect(turns.letsIn(211, aheadMs, 1)).toBe(false);
  // Nobody is before it, and this turn has read few: no crowd.
  expect(turns.letsIn(200 + WAIT_MS + 1, 0, 1)).toBe(true);
  expect(turns.letsIn(211, 10 * WAIT_MS - 11, 10)).toBe(true);
  expect(turns.letsIn(211, 10 * WAIT_MS, 10)).toBe(false);
});
