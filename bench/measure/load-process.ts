/** The load generator as a process of its own: a plan as JSON in its argument, the result on stdout. */
import { expectShortLives } from '../../engine/runtime/collector.ts';
import { type FlowPlan, type LoadPlan, runLoad } from './wire-load.ts';

expectShortLives();
const [, , plan] = process.argv;
if (plan === undefined) throw new Error('usage: load-process PLAN, the plan as JSON');
process.stdout.write(`${JSON.stringify(await runLoad(JSON.parse(plan) as LoadPlan | FlowPlan))}\n`);
