/** `npm run generate`: writes engine/http/openapi.json. Runs compiled, from dist/engine/http. */
import { join } from 'node:path';
import { writeOpenApi } from './openapi.ts';

writeOpenApi(join(import.meta.dirname, '..', '..', '..', 'engine', 'http', 'openapi.json'));
