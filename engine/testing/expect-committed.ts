import { expect } from 'vitest';
import type { TestEngine } from './engine.ts';
import { untilTold } from './told.ts';

/** No commit that was acknowledged is gone. */
export async function expectCommitted(
  { call }: Pick<TestEngine, 'call'>,
  ids: Iterable<string>,
): Promise<void> {
  for (const id of ids) {
    const path = `/api/v1/inventory/reservations/${id}`;
    const { body } = await untilTold(() => call('GET', path));
    expect(body.status, id).toBe('committed');
  }
}
