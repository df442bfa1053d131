/** What a sale of a fault run sells: defined, and received at the level that nothing takes back. */
import { createFaultClient, WAREHOUSE } from './client.ts';
import type { History } from './history.ts';
import type { Address } from './link.ts';
import type { SaleSkus } from './shoppers.ts';

const HOT_UNITS = 150;
const AMPLE_UNITS = 1_000_000;
const RECEIVE_MS_MAX = 60_000;

/** Throws when the engine refuses, or does not answer in time. */
export async function stockUp(
  { host, port }: Address,
  history: History,
  intent: string,
  { hot, ample }: SaleSkus,
): Promise<void> {
  const define = async (path: string, body: object): Promise<void> => {
    const response = await fetch(`http://${host}:${port}/api/v1/${path}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (response.status >= 300) throw new Error(`${path}: ${await response.text()}`);
  };
  await define(`warehouses/${WAREHOUSE}`, { name: WAREHOUSE, time_zone: 'UTC' });
  for (const sku of [hot, ample]) await define(`products/${sku}`, { name: sku });
  const client = createFaultClient({ host, port, history, connections: 1 });
  const lines = [
    { sku: hot, quantity: HOT_UNITS },
    { sku: ample, quantity: AMPLE_UNITS },
  ];
  const deadlineMs = performance.now() + RECEIVE_MS_MAX;
  const isOver = () => performance.now() > deadlineMs;
  const result = await client.decide({ client: 'stock', verb: 'receive', intent, lines }, isOver);
  client.close();
  if (result.outcome !== 'ok') throw new Error(`the stock was not received: ${result.code}`);
}
