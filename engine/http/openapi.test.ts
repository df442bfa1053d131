import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { OutcomeName } from '../domain/outcome.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import { makeSubject } from '../reservations/test-subject.ts';
import { Line } from '../runtime/line.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { openApiDocument, openApiText } from './openapi.ts';
import { BODIES, OPERATIONS } from './openapi-paths.ts';
import type { ApiDeps } from './routes.ts';
import { apiRoutes } from './routes.ts';
import { compileBody } from './schema.ts';

const COMMITTED = new URL('openapi.json', import.meta.url);

function routes() {
  const deps: Omit<ApiDeps, 'pool'> = {
    ...makeSubject({ answers: [] }),
    line: new Line(),
    metrics: createMetrics({ processMetrics: false }),
    skuClasses: { put: () => undefined },
  };
  // No handler runs here, so nothing asks PostgreSQL.
  return apiRoutes(deps as ApiDeps);
}

describe('the OpenAPI document', () => {
  it('is the one that is committed (npm run generate writes it)', () => {
    expect(readFileSync(COMMITTED, 'utf8')).toBe(openApiText());
  });

  it('describes each route, and nothing else', () => {
    const described = OPERATIONS.map(({ method, path }) => `${method} ${path}`);
    const served = routes().map(({ method, pattern }) => `${method} ${pattern}`);
    expect(described.toSorted()).toEqual(served.toSorted());
  });

  it('says of each route what headers it reads', () => {
    const served = new Map(routes().map((route) => [`${route.method} ${route.pattern}`, route]));
    for (const { method, path, prefer, key } of OPERATIONS) {
      const headers = served.get(`${method} ${path}`)?.headers ?? [];
      if (prefer) expect(headers).toContain('prefer');
      if (key) expect(headers).toContain('idempotency-key');
    }
  });

  it('says of each route of the API that it may be refused before it is read', () => {
    const silent = OPERATIONS.filter(
      ({ path, refusals }) => path.startsWith('/api/') && !refusals.includes('overloaded'),
    );
    expect(silent.map(({ id }) => id)).toEqual([]);
  });

  it('names every outcome that is a refusal somewhere', () => {
    const named = new Set(OPERATIONS.flatMap(({ refusals }) => refusals));
    const refusals = (Object.keys(OUTCOMES) as OutcomeName[]).filter(
      (name) => OUTCOMES[name].status >= 300,
    );
    expect(refusals.filter((name) => !named.has(name))).toEqual([]);
    for (const name of named) expect(OUTCOMES[name].status).toBeGreaterThanOrEqual(300);
  });

  it('gives examples that its own schemas take', () => {
    for (const { id, bodies, example } of OPERATIONS) {
      if (bodies === undefined) continue;
      const json = JSON.parse(JSON.stringify(example));
      const isTaken = bodies.some((name) => 'body' in compileBody(BODIES[name])(json));
      expect({ id, isTaken }).toEqual({ id, isTaken: true });
    }
  });

  it('has an operation id of its own for each operation', () => {
    const ids = OPERATIONS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(openApiDocument()).toHaveProperty('openapi', '3.1.0');
  });
});
