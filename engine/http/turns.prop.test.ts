/** A server whose time is counted, under more than it can do: who waits, how long, and who is refused. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

const LONG_MS = 17;
const LET_IN_MIN = 16;
const LIMITS = { longMs: LONG_MS, letInMin: LET_IN_MIN };

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
  /** Of the accepted, from the beginning of the turn to the reading. */
  readonly waitedMsMax: number;
  /** Turns that a refusal waited for. */
  readonly heldTurnsMax: number;
  readonly ms: number;
}

/** Each connection asks again in the turn after its answer, as in the worst crowd. */
function crowd({ acceptMs, refuseMs, connections, turns: count }: Server): Outcome {
  const turns = new Turns(LIMITS);
  const held: number[] = [];
  let [nowMs, ready, accepted, refused, waitedMsMax, heldTurnsMax] = [0, connections, 0, 0, 0, 0];
  for (let turn = 0; turn < count; turn++) {
    const beganMs = nowMs;
    let next = 0;
    for (let i = 0; i < ready; i++) {
      if (turns.letsIn(nowMs, 1)) {
        if (turn >= 2) waitedMsMax = Math.max(waitedMsMax, nowMs - beganMs);
        nowMs += acceptMs;
        accepted++;
        next++;
      } else held.push(turn);
    }
    while (held.length > 0 && turns.refusesNow()) {
      heldTurnsMax = Math.max(heldTurnsMax, turn - (held.shift() ?? 0));
      nowMs += refuseMs;
      refused++;
      next++;
    }
    turns.end();
    ready = next;
  }
  return { accepted, refused, waitedMsMax, heldTurnsMax, ms: nowMs };
}

const servers = fc.record({
  acceptMs: fc.double({ min: 0.02, max: 0.5, noNaN: true }),
  refuseMs: fc.double({ min: 0.005, max: 0.01, noNaN: true }),
  connections: fc.integer({ min: 1, max: 2_000 }),
  turns: fc.constant(60),
});

it('from the second long turn on, nobody is let in who has waited longer than the bound', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { waitedMsMax } = crowd(server);
      expect(waitedMsMax).toBeLessThanOrEqual(
        Math.max(LONG_MS, LET_IN_MIN * server.acceptMs) + server.acceptMs,
      );
    }),
  );
});

it('what is refused takes no more than its share, however many there are', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { accepted, refused, ms } = crowd(server);
      expect(refused).toBeLessThanOrEqual(accepted / 2 + 64 * server.turns);
      // Most of the time is the work of those who are let in; the rest is what 64 refusals cost a turn.
      const spareMs = (64 * server.turns + accepted / 2) * server.refuseMs;
      expect(accepted * server.acceptMs).toBeGreaterThanOrEqual((ms - spareMs) * 0.999);
    }),
  );
});

it('a crowd that one turn can take is let in whole', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const few = Math.min(server.connections, Math.floor(LONG_MS / server.acceptMs));
      expect(crowd({ ...server, connections: Math.max(1, few) }).refused).toBe(0);
    }),
  );
});

it('every refusal is given, and in turn', () => {
  fc.assert(
    fc.property(servers, (server) => {
      const { heldTurnsMax } = crowd(server);
      // 64 in each turn, of at most one for each connection.
      expect(heldTurnsMax).toBeLessThanOrEqual(Math.ceil(server.connections / 64));
    }),
  );
});

it('one long turn is a stall, and refuses nobody; a second one soon after it is an overload', () => {
  const turns = new Turns(LIMITS);
  const long = (fromMs: number): boolean => {
    let isLetIn = true;
    for (let i = 0; i <= LET_IN_MIN; i++) isLetIn = turns.letsIn(fromMs + i * 2, 1);
    turns.end();
    return isLetIn;
  };
  expect(long(0)).toBe(true);
  expect(long(10_000)).toBe(true);
  expect(long(10_400)).toBe(false);
});

it('who is patient is let in for longer', () => {
  const turns = new Turns(LIMITS);
  const at = (ms: number, patience: number): boolean => turns.letsIn(ms, patience);
  for (const fromMs of [0, 300]) {
    for (let i = 0; i < LET_IN_MIN; i++) at(fromMs + i, 1);
    at(fromMs + LONG_MS + 1, 1);
    if (fromMs === 0) turns.end();
  }
  expect(at(300 + LONG_MS + 2, 1)).toBe(false);
  expect(at(300 + LONG_MS + 2, 10)).toBe(true);
  expect(at(300 + LONG_MS * 10 + 1, 10)).toBe(false);
});
