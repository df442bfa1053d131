// The contract of the port, part five: more requests in a turn of the event loop than it has time for.
// Who is read late is told so, everybody is answered, and what tells how the engine is goes on.

import { expect, it } from 'vitest';
import type { Handler } from './exchange.ts';
import { describeTransports, Subject } from './test-subject.ts';
import type { Wire } from './test-wire.ts';
import { requestText } from './test-wire.ts';

/** More than any turn lets in without a look at the clock, and more refusals than one gives. */
const CROWD = 700;
/** Of each: so that the crowd makes a long turn on any machine. */
const WORK_MS = 0.1;
/** Two, unless this machine took the test off its core for half a second between them. */
const WAVES_MAX = 10;
const TEST_MS_MAX = 120_000;

const BUY = requestText('POST', '/api/v1/buy', { 'content-type': 'application/json' }, '1');
const LOOK = requestText('GET', '/metrics');
const isLook = (wire: number): boolean => wire % 40 === 39;

function busy(): void {
  const untilMs = performance.now() + WORK_MS;
  while (performance.now() < untilMs);
}

/**
 * Waves of requests, each on all wires, each sent when the last request of the one before it is
 * handled: so the next turn reads it whole. Ends with the wave of which somebody was refused.
 */
class Waves {
  readonly wires: Wire[] = [];
  readonly handle: Handler = (exchange) => {
    busy();
    exchange.respond(200, {}, 'done');
    this.#handled += 1;
    if (this.#handled === this.sent * CROWD && this.sent < WAVES_MAX) this.send();
  };
  sent = 0;
  #handled = 0;

  send(): void {
    this.sent += 1;
    for (const [i, wire] of this.wires.entries()) void wire.send(isLook(i) ? LOOK : BUY);
  }
}

await describeTransports('a turn with more requests than there is time for', (transport) => {
  it('refuses who is read late, unless it is a single stall, and answers everybody', {
    timeout: TEST_MS_MAX,
  }, async () => {
    const waves = new Waves();
    const { handle } = waves;
    const subject = await Subject.start(transport, [
      { method: 'POST', pattern: '/api/v1/buy', body: { limitBytes: 100 }, handle },
      { method: 'GET', pattern: '/metrics', handle },
    ]);
    try {
      while (waves.wires.length < CROWD) waves.wires.push(await subject.wire());
      waves.send();
      await subject.reported(() => subject.requests.length > CROWD);
      await subject.reported(() => subject.requests.length === waves.sent * CROWD);
      const refused: number[] = [];
      for (const [i, wire] of waves.wires.entries()) {
        const answers = await wire.responses(waves.sent);
        expect(answers.slice(0, -1).map(({ status }) => status)).not.toContain(503);
        const last = answers.at(-1);
        if (last?.status === 503) {
          refused.push(i);
          expect(last.headers.get('retry-after')).toBe('1');
          expect(JSON.parse(last.body)).toMatchObject({ code: 'overloaded', retryable: true });
        } else expect(last?.status).toBe(200);
      }
      expect(waves.sent).toBeGreaterThan(1);
      expect(refused.length).toBeGreaterThan(0);
      expect(refused.filter(isLook)).toEqual([]);
    } finally {
      await subject.end();
    }
  });
});
