/** Each kind of ask has its judge. */
import type { Ask, Reply } from './ask.ts';
import { judgeReserve } from './judge-reserve.ts';
import { judgeExtend, judgeLook, judgeStock } from './judge-rest.ts';
import { judgeSettle } from './judge-settle.ts';
import type { Shop } from './shop.ts';

/** Checks the reply and does what it says; throws Disagreement, and the shop is then of no use. */
export function judge(shop: Shop, ask: Ask, reply: Reply): void {
  switch (ask.kind) {
    case 'reserve':
      judgeReserve(shop, ask, reply);
      return;
    case 'settle':
      judgeSettle(shop, ask, reply);
      return;
    case 'extend':
      judgeExtend(shop, ask, reply);
      return;
    case 'stock':
      judgeStock(shop, ask, reply);
      return;
    case 'look':
      judgeLook(shop, ask, reply);
  }
}
