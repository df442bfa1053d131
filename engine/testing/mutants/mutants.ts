/** The table of planted bugs; `mutants.test.ts` checks that each fits the sources as they are. */
import { CONFIRMING_MUTANTS } from './confirming-mutants.ts';
import { DAYS_AWAY_MUTANTS } from './days-away-mutants.ts';
import { HANG_MUTANTS } from './hang-mutants.ts';
import { HOST_MUTANTS } from './host-mutants.ts';
import { HTTP_MUTANTS } from './http-mutants.ts';
import { KEYED_MUTANTS } from './keyed-mutants.ts';
import { LATE_MUTANTS } from './late-mutants.ts';
import type { Mutant } from './mutant.ts';
import { PERSISTER_MUTANTS } from './persister-mutants.ts';
import { RUN_MUTANTS } from './run-mutants.ts';
import { SCRIPT_MUTANTS } from './script-mutants.ts';
import { SETTLEMENT_MUTANTS } from './settlement-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...SCRIPT_MUTANTS,
  ...SETTLEMENT_MUTANTS,
  ...RUN_MUTANTS,
  ...KEYED_MUTANTS,
  ...LATE_MUTANTS,
  ...DAYS_AWAY_MUTANTS,
  ...HOST_MUTANTS,
  ...PERSISTER_MUTANTS,
  ...CONFIRMING_MUTANTS,
  ...HANG_MUTANTS,
  ...HTTP_MUTANTS,
];
