/** The catalogue of faults: one table. `npm run test:faults -- --list` prints it. */
import { AROUND_FAULTS } from './around-faults.ts';
import { CLOCK_FAULTS } from './clock-faults.ts';
import { CUT_FAULTS } from './cut-faults.ts';
import { DISK_FAULTS } from './disk-faults.ts';
import type { Fault } from './fault.ts';
import { NODE_FAULTS } from './node-faults.ts';
import { POSTGRES_FAULTS } from './postgres-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';

export const FAULTS: readonly Fault[] = [
  ...NODE_FAULTS,
  ...DISK_FAULTS,
  ...CLOCK_FAULTS,
  ...CUT_FAULTS,
  ...PROCESS_FAULTS,
  ...AROUND_FAULTS,
  ...POSTGRES_FAULTS,
];

export function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault !== undefined) return fault;
  throw new Error(`there is no fault ${name}; there are ${FAULTS.map((f) => f.name).join(', ')}`);
}
