/** A deployment of its own, for what a test does to a whole one. */
import type { TestAnswer, TestEngine } from '../../testing/engine.ts';
import { startTestEngine } from '../../testing/engine.ts';
import { apiOf } from './api.ts';

type Buy = (headers?: Readonly<Record<string, string>>) => Promise<TestAnswer>;

/** Has enough of one SKU to buy. */
export async function apart(
  settings: Readonly<Record<string, string>>,
  use: (own: TestEngine, buy: Buy) => Promise<void>,
): Promise<void> {
  const own = await startTestEngine({ settings });
  try {
    await own.stock({ 'MUG@A': 1_000 });
    await use(own, (headers) => apiOf(own).reserve([{ sku_id: 'MUG', quantity: 1 }], headers));
  } finally {
    await own.close();
  }
}
