// The contract of the port, part four: as many requests under way as may be. Who comes then is told
// so before its body is read; who ends a reservation has a quarter more room, and what tells people how
// the engine is goes on.

import { expect, it } from 'vitest';
import type { Exchange } from './exchange.ts';
import { describeTransports, Subject } from './test-subject.ts';
import { requestText } from './test-wire.ts';

const JSON_BODY = { 'content-type': 'application/json' };

await describeTransports('a crowd', (transport) => {
  it('is refused beyond the bound, and let in again when somebody leaves', async () => {
    const waiting: Exchange[] = [];
    const arrived = new Map<number, () => void>();
    const arrival = (count: number) =>
      new Promise<void>((resolve) => {
        if (waiting.length >= count) resolve();
        else arrived.set(count, resolve);
      });
    const arrives = (exchange: Exchange): void => {
      waiting.push(exchange);
      arrived.get(waiting.length)?.();
    };
    const subject = await Subject.start(
      transport,
      [
        {
          method: 'POST',
          pattern: '/api/v1/buy',
          body: { limitBytes: 100 },
          handle: arrives,
        },
        {
          method: 'POST',
          pattern: '/api/v1/pay',
          isPatient: true,
          body: { limitBytes: 100 },
          handle: arrives,
        },
        { method: 'GET', pattern: '/metrics', handle: (exchange) => exchange.respond(200) },
      ],
      { requestsMax: 2 },
    );
    const buying = requestText('POST', '/api/v1/buy', JSON_BODY, '1');
    try {
      const [first, second] = [await subject.wire(), await subject.wire()];
      await first.send(buying);
      await second.send(buying);
      await arrival(2);
      const refused = await subject.ask('POST', '/api/v1/buy', JSON_BODY, '1');
      expect(refused.status).toBe(503);
      expect(refused.headers.get('retry-after')).toBe('1');
      expect(JSON.parse(refused.body)).toMatchObject({ code: 'overloaded', retryable: true });
      expect((await subject.ask('GET', '/metrics')).status).toBe(200);
      const paying = await subject.wire();
      await paying.send(requestText('POST', '/api/v1/pay', JSON_BODY, '1'));
      const paid = paying.responses(1);
      expect(await Promise.race([arrival(3).then(() => 'let in'), paid])).toBe('let in');
      expect((await subject.ask('POST', '/api/v1/pay', JSON_BODY, '1')).status).toBe(503);
      expect(waiting).toHaveLength(3);
      waiting[2]?.respond(200);
      expect((await paid)[0]?.status).toBe(200);
      waiting[0]?.respond(200);
      expect((await first.responses(1))[0]?.status).toBe(200);
      const third = await subject.wire();
      await third.send(buying);
      await arrival(4);
      for (const each of [waiting[1], waiting[3]]) each?.respond(200);
      expect((await third.responses(1))[0]?.status).toBe(200);
      expect((await second.responses(1))[0]?.status).toBe(200);
    } finally {
      await subject.end();
    }
  });
});
