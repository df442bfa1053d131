/** How long a full run will likely take, said before it begins. */
import type { Scenario } from './scenario.ts';

type Timed = Pick<Scenario, 'fullSeconds'>;

export function expectedSeconds(scenarios: readonly Timed[]): number {
  return scenarios.reduce((sum, { fullSeconds }) => sum + fullSeconds, 0);
}

/** A line for who waits. */
export function wordsOnDuration(scenarios: readonly Timed[]): string {
  const minutes = Math.ceil(expectedSeconds(scenarios) / 60);
  return `${count(scenarios.length, 'scenario')}, about ${count(minutes, 'minute')} on two cores`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
