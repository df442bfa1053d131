/**
 * Looks for every unit: what the shoppers were answered, against what the engine counted, against
 * the balances in Redis, against PostgreSQL and the log. What an answer left open (a timeout, a 503
 * that was the last) is known in units, and is the only slack that a comparison has.
 */
import { differenceWords } from '../measure/difference-words.ts';
import { countCreated } from '../measure/engine-metrics.ts';
import type { LoadResult } from '../measure/wire-load.ts';
import type { AuditReport, Phase, World } from '../scenario.ts';
import { countUnits, type Units } from './goods.ts';

/** Some SKUs, and all that was asked of them. */
export interface Goods {
  readonly skuIds: readonly string[];
  /** Put there before the load. */
  readonly received: number;
  readonly phases: readonly Phase[];
  /** Every hold's deadline is over: none is left. Default: holds outlive the run. */
  readonly expires?: boolean;
}

export interface Check {
  readonly words: string;
  readonly ok: boolean;
}

/** Equal but for at most `slack`, which is said. */
export function equal(
  left: string,
  leftValue: number,
  right: string,
  rightValue: number,
  slack = 0,
): Check {
  const open = slack === 0 ? '' : ` (${count(slack)} left open by answers that did not come)`;
  return {
    words: `${count(leftValue)} ${left}, ${count(rightValue)} ${right}${open}`,
    ok: Math.abs(leftValue - rightValue) <= slack,
  };
}

export async function auditUnits(
  world: World,
  goods: readonly Goods[],
  checks: readonly Check[] = [],
): Promise<AuditReport> {
  const { shop } = world;
  await shop.whenPersisted();
  const found: Check[] = [];
  for (const each of goods) {
    found.push(...unitChecks(await countUnits(shop.url, each.skuIds), each));
  }
  const created = (await countCreated(shop.url)) - world.createdBefore;
  const differences = await shop.audit();
  const tally = tallyOf(goods.flatMap(({ phases }) => phases));
  return reportOf([
    ...found,
    equal(
      'answers said reserved',
      tally('held'),
      'the engine counted',
      created,
      tally('unknownUnits'),
    ),
    ...checks,
    noneOf(differences),
  ]);
}

/** Of the independent audit. */
export function noneOf(differences: readonly unknown[]): Check {
  return { words: differenceWords(differences).join('; '), ok: differences.length === 0 };
}

export function reportOf(checks: readonly Check[]): AuditReport {
  return {
    ok: checks.every(({ ok }) => ok),
    words: checks.map(({ ok, words }) => (ok ? words : `WRONG: ${words}`)),
  };
}

function unitChecks(units: Units, goods: Goods): Check[] {
  const tally = tallyOf(goods.phases);
  const { available, reserved, allocated } = units;
  const received = goods.received + tally('receivedUnits');
  const open = tally('unknownUnits');
  const openCommits = tally('unknownCommitUnits');
  const held = tally('heldUnits') - tally('committedUnits') - tally('releasedUnits');
  return [
    equal(
      'units received',
      received,
      'are available, reserved or committed',
      available + reserved + allocated,
      tally('unknownReceivedUnits'),
    ),
    equal(
      'units were answered as committed',
      tally('committedUnits'),
      'are committed',
      allocated,
      openCommits,
    ),
    goods.expires === true
      ? equal('units should be held after every deadline', 0, 'are', reserved)
      : equal('units were answered as held', held, 'are held', reserved, open + openCommits),
    { words: 'no balance is below 0', ok: Math.min(available, reserved, allocated) >= 0 },
  ];
}

type Sums = (name: string) => number;

/** What the flows of all phases say together. */
export function tallyOf(phases: readonly Phase[]): Sums {
  return (name) => phases.reduce((sum, { load }) => sum + tallied(load, name), 0);
}

export function tallied({ tally }: LoadResult, name: string): number {
  return tally[name] ?? 0;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
