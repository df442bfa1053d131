/** What scenarios have in common: two sizes, and a report under their name. */
import type { Bench, Scenario, ScenarioReport } from './scenario.ts';

export interface ScenarioDefinition<Size extends object>
  extends Pick<Scenario, 'name' | 'about' | 'runs' | 'fullSeconds'> {
  readonly full: Size;
  /** What is other in a quick run, which has some eight seconds. */
  readonly quick: Partial<Size>;
  /** What a run begins with, and tests in a size of their own do not need. */
  readonly prepare?: (bench: Bench) => Promise<void>;
  readonly run: (bench: Bench, size: Size) => Promise<Findings>;
}

/** What it does not have it need not say. */
export type Findings = Pick<ScenarioReport, 'audit'> &
  Partial<Omit<ScenarioReport, 'name' | 'audit'>>;

export interface SizedScenario<Size extends object> extends Scenario {
  /** In a size of one's own: tests have little ones. */
  readonly runIn: (bench: Bench, size: Size) => Promise<ScenarioReport>;
}

export function defineScenario<Size extends object>(
  definition: ScenarioDefinition<Size>,
): SizedScenario<Size> {
  const { name, about, runs, fullSeconds, full, quick } = definition;
  const nothing = { phases: [], facts: [], series: [], budgets: [] };
  const runIn = async (bench: Bench, size: Size): Promise<ScenarioReport> => ({
    name,
    ...nothing,
    ...(await definition.run(bench, size)),
  });
  const run = async (bench: Bench): Promise<ScenarioReport> => {
    await definition.prepare?.(bench);
    return await runIn(bench, bench.quick ? { ...full, ...quick } : full);
  };
  return { name, about, runs, fullSeconds, run, runIn };
}
