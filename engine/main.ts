import { runProgram } from './cli/program.ts';
import { expectShortLives } from './runtime/collector.ts';

expectShortLives();
await runProgram(process.argv);
