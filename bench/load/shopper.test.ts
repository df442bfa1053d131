/** One shopper, told answers: what is sent when, and how it ends. */
import { describe, expect, it } from 'vitest';
import type { ShopperAnswer, ShopperStep } from './shopper.ts';
import { onAnswer, startShopper, TRIES_MAX } from './shopper.ts';
import type { ShopperPlan } from './shoppers.ts';

const PLAN: ShopperPlan = {
  shopperId: 's1',
  arriveAtMs: 100,
  quantity: 1,
  thinkMs: 500,
  ending: 'commit',
  duplicates: 'none',
  comeBack: undefined,
};

const RESERVED: ShopperAnswer = { kind: 'reserved', reservationId: 'r1' };
const COMMITTED: ShopperAnswer = { kind: 'committed' };
const SOLD_OUT: ShopperAnswer = { kind: 'sold_out' };
const UNKNOWN: ShopperAnswer = { kind: 'unknown' };
const LOST: ShopperAnswer = { kind: 'lost' };

/** Plays answers, each at its time, and gives what was sent as short text with the last step. */
function play(change: Partial<ShopperPlan>, answers: readonly [number, ShopperAnswer][]) {
  const plan = { ...PLAN, ...change };
  const sent: string[] = [];
  const note = (step: ShopperStep): ShopperStep => {
    for (const request of step.requests) {
      const what = request.kind === 'reserve' ? `x${request.quantity}` : request.reservationId;
      sent.push(`${request.atMs} ${request.sentAs} ${request.idempotencyKey} ${what}`);
    }
    return step;
  };
  let step = note(startShopper(plan));
  for (const [atMs, answer] of answers) step = note(onAnswer(plan, step.state, answer, atMs));
  return { sent, state: step.state };
}

describe('a shopper', () => {
  it('reserves, thinks, commits and has bought', () => {
    const { sent, state } = play({ quantity: 2 }, [
      [110, RESERVED],
      [620, COMMITTED],
    ]);
    expect(sent).toEqual(['100 first s1:1:reserve x2', '610 first s1:1:commit r1']);
    expect(state).toMatchObject({ phase: 'gone', outcome: 'bought', quantity: 2, violations: [] });
  });

  it.each<[Partial<ShopperPlan>, readonly [number, ShopperAnswer][], string, string[]]>([
    [{}, [[110, SOLD_OUT]], 'sold_out', []],
    [{ ending: 'abandon' }, [[110, RESERVED]], 'abandoned', []],
    [
      { ending: 'release' },
      [
        [110, RESERVED],
        [620, { kind: 'released' }],
      ],
      'released',
      ['610 first s1:1:release r1'],
    ],
    [
      {},
      [
        [110, RESERVED],
        [620, LOST],
      ],
      'lost',
      ['610 first s1:1:commit r1'],
    ],
    [{}, [[110, { kind: 'refused', code: 'unknown_sku' }]], 'refused', []],
    [{}, [[110, COMMITTED]], 'refused', []],
    [
      {},
      [
        [110, RESERVED],
        [620, SOLD_OUT],
      ],
      'refused',
      ['610 first s1:1:commit r1'],
    ],
  ])('%o ends as it must', (change, answers, outcome, laterSent) => {
    const { sent, state } = play(change, answers);
    expect(sent.slice(1)).toEqual(laterSent);
    expect(state).toMatchObject({ phase: 'gone', outcome, outstanding: 0 });
  });

  it('changes its mind: releases, and comes again for the other quantity', () => {
    const { sent, state } = play({ ending: 'change' }, [
      [110, RESERVED],
      [620, { kind: 'released' }],
      [1_130, { kind: 'reserved', reservationId: 'r2' }],
      [1_640, COMMITTED],
    ]);
    expect(sent.slice(1)).toEqual([
      '610 first s1:1:release r1',
      '1120 first s1:2:reserve x2',
      '1630 first s1:2:commit r2',
    ]);
    expect(state).toMatchObject({ outcome: 'bought', quantity: 2 });
  });

  it('sends everything twice at once, and decides when both answers are there', () => {
    const { sent, state } = play({ duplicates: 'concurrent' }, [
      [110, SOLD_OUT],
      [120, RESERVED],
      [630, COMMITTED],
      [640, COMMITTED],
    ]);
    expect(sent).toEqual([
      '100 first s1:1:reserve x1',
      '100 duplicate s1:1:reserve x1',
      '620 first s1:1:commit r1',
      '620 duplicate s1:1:commit r1',
    ]);
    expect(state).toMatchObject({ outcome: 'bought', violations: [] });
  });

  it('sends everything again after the answer', () => {
    const { sent, state } = play({ duplicates: 'after' }, [
      [110, RESERVED],
      [115, RESERVED],
      [620, COMMITTED],
      [625, COMMITTED],
    ]);
    expect(sent).toEqual([
      '100 first s1:1:reserve x1',
      '110 duplicate s1:1:reserve x1',
      '615 first s1:1:commit r1',
      '620 duplicate s1:1:commit r1',
    ]);
    expect(state).toMatchObject({ outcome: 'bought', violations: [] });
  });

  it('asks again with the same key, more and more slowly, when it does not know', () => {
    const { sent, state } = play({}, [
      [110, UNKNOWN],
      [320, UNKNOWN],
      [730, RESERVED],
      [1_240, UNKNOWN],
      [1_450, COMMITTED],
    ]);
    expect(sent.slice(1)).toEqual([
      '310 retry s1:1:reserve x1',
      '720 retry s1:1:reserve x1',
      '1230 first s1:1:commit r1',
      '1440 retry s1:1:commit r1',
    ]);
    expect(state).toMatchObject({ outcome: 'bought' });
  });

  it(`gives up after ${TRIES_MAX} tries`, () => {
    const answers = Array.from({ length: TRIES_MAX }, (_, index) => [index, UNKNOWN] as const);
    const { sent, state } = play(
      {},
      answers.map(([atMs, answer]) => [atMs, answer]),
    );
    expect(sent).toHaveLength(TRIES_MAX);
    expect(state).toMatchObject({ phase: 'gone', outcome: 'unresolved' });
  });

  it('comes back for one unit while there is time, and then does not abandon it', () => {
    const comeBack = { everyMs: 1_000, untilMs: 2_500 };
    const { sent, state } = play({ quantity: 2, ending: 'abandon', comeBack }, [
      [110, SOLD_OUT],
      [1_120, SOLD_OUT],
      [2_130, SOLD_OUT],
    ]);
    expect(sent).toEqual([
      '100 first s1:1:reserve x2',
      '1110 first s1:2:reserve x1',
      '2120 first s1:3:reserve x1',
    ]);
    expect(state).toMatchObject({ outcome: 'sold_out' });
    const lucky = play({ quantity: 2, ending: 'abandon', comeBack }, [
      [110, SOLD_OUT],
      [1_120, RESERVED],
      [1_630, COMMITTED],
    ]);
    expect(lucky.state).toMatchObject({ outcome: 'bought', quantity: 1 });
  });

  it('reports two reservations under one key, and a lost hold that was committed', () => {
    const twice = play({ duplicates: 'concurrent' }, [
      [110, RESERVED],
      [120, { kind: 'reserved', reservationId: 'r2' }],
    ]);
    expect(twice.state.violations).toEqual(['s1, visit 1: one key made 2 reservations: r1, r2']);
    const both = play({ duplicates: 'concurrent' }, [
      [110, RESERVED],
      [120, RESERVED],
      [630, COMMITTED],
      [640, LOST],
    ]);
    expect(both.state.violations).toEqual([
      's1, visit 1: r1 was answered as committed and as lost',
    ]);
  });

  it('refuses an answer that it did not ask for', () => {
    expect(() =>
      play({ ending: 'abandon' }, [
        [110, RESERVED],
        [120, RESERVED],
      ]),
    ).toThrow(/s1 gets an answer \(reserved\) but has nothing outstanding/);
  });
});
