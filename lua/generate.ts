/** `npm run generate`: writes lua/generated/scripts.ts. Runs compiled, from dist/lua. */
import { join } from 'node:path';
import { writeScripts } from './build.ts';

writeScripts(join(import.meta.dirname, '..', '..', 'lua'));
