/** What is asked of a phase. */
import type { Phase, ProcessCost } from './scenario.ts';

export function perSecond({ load }: Pick<Phase, 'load'>): number {
  return load.answers / load.seconds;
}

/** Us of CPU for an answer; NaN where the process was not there, or the system does not tell. */
export function cpuUsPerAnswer({ processes, load }: Phase, name: ProcessCost['name']): number {
  const cost = processes.find((each) => each.name === name);
  return (cost?.cpuUs ?? Number.NaN) / load.answers;
}

/** Of the thread that runs the commands. */
export function redisUsPerAnswer({ redisThreadUs, load }: Phase): number {
  return redisThreadUs / load.answers;
}

/** Throws unless every answer has this status: what was measured would be something else. */
export function requireStatus(phase: Phase, wanted: number): Phase {
  const { byStatus } = phase.load;
  if (Object.keys(byStatus).some((status) => Number(status) !== wanted)) {
    throw new Error(`${phase.name}: wanted ${wanted} alone, got ${JSON.stringify(byStatus)}`);
  }
  return phase;
}
