/** Who looks at availability: GETs of SKUs as they are wanted. */
import type { FlowSource, FlowTarget } from '../flow.ts';
import { request } from './request.ts';
import { type SkuRange, skuDraw, skusOf } from './zipf.ts';

export interface ReadsParams {
  readonly seed: string;
  readonly skus: SkuRange;
}

export function readsFlow({ seed, skus }: ReadsParams, target: FlowTarget): FlowSource {
  // Made once: there are fewer SKUs than requests.
  const requests = new Map(
    skusOf(skus).map((sku) => {
      const bytes = request(target, 'GET', `/api/v1/inventory/${sku}/availability`);
      return [sku, { bytes, label: 'availability' }] as const;
    }),
  );
  const draw = skuDraw(skus, `${seed}/reads`);
  const flow = { next: () => requests.get(draw()) };
  return { caller: () => flow };
}
