/** The load generator against a server of the test's own. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startHttpServer } from '../../engine/http/server.ts';
import { BARE, describeTransports } from '../../engine/http/test-subject.ts';
import { serveWire, type WireServer, wireAnswer } from './test-server.ts';
import { answerLength, LENGTH, WireConnection } from './wire-connection.ts';
import { type LoadPlan, runLoad } from './wire-load.ts';

const servers: WireServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const ANSWER = wireAnswer(201);

async function serve(answer: (socket: Socket, request: string) => void): Promise<LoadPlan> {
  const server = await serveWire(answer);
  servers.push(server);
  const { host, port } = server;
  return { host, port, method: 'POST', path: '/x', body: '{"a":1}', connections: 4, seconds: 0.3 };
}

describe('a closed loop', () => {
  it('counts every answer once, by status, one request a connection at a time', async () => {
    let requests = 0;
    const plan = await serve((socket, request) => {
      requests++;
      expect(request.split('POST /x').length).toBe(2);
      socket.write(ANSWER);
    });
    const result = await runLoad(plan);
    expect(result.answers).toBe(requests);
    expect(result.byStatus).toEqual({ 201: requests });
    expect(result.latency.count).toBe(requests);
    expect(result.seconds).toBeGreaterThanOrEqual(0.3);
    const perSecond = result.byLabel.answer?.perSecond['201'] ?? [];
    expect(perSecond.reduce((sum, each) => sum + each, 0)).toBe(requests);
  });

  it('puts answers together that come in pieces', async () => {
    const plan = await serve((socket) => {
      socket.write(ANSWER.slice(0, 25));
      setImmediate(() => socket.write(ANSWER.slice(25)));
    });
    const { byStatus } = await runLoad(plan);
    expect(Object.keys(byStatus)).toEqual(['201']);
  });

  it('measures nothing when a connection is lost', async () => {
    const plan = await serve((socket) => socket.destroy());
    await expect(runLoad(plan)).rejects.toThrow('a connection was lost');
  });

  it('measures nothing when more comes than was asked for', async () => {
    const plan = await serve((socket) => socket.write(ANSWER + ANSWER));
    await expect(runLoad(plan)).rejects.toThrow('more came than one answer');
  });

  it('measures nothing when an answer has no length', async () => {
    const plan = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    await expect(runLoad(plan)).rejects.toThrow('no Content-Length');
  });

  it('keeps the first refusal, to be read', async () => {
    let requests = 0;
    const plan = await serve((socket) => socket.write(wireAnswer(409, `refused ${++requests}`)));
    const { byLabel } = await runLoad({ ...plan, connections: 1 });
    expect(byLabel.answer?.firstRefusals).toEqual({ 409: 'refused 1' });
  });
});

describe('an open loop', () => {
  it('sends at its rate, whatever the answers do', async () => {
    const plan = await serve((socket) => socket.write(ANSWER));
    const { answers, unsent } = await runLoad({ ...plan, rate: 1_000 });
    expect(answers).toBe(300);
    expect(unsent).toBe(0);
  });

  it('sends at rates that no millisecond divides', async () => {
    const plan = await serve((socket) => socket.write(ANSWER));
    for (const rate of [7, 333, 1_501, 2_999.5]) {
      const { answers } = await runLoad({ ...plan, rate });
      expect(answers).toBe(Math.floor(0.3 * rate));
    }
  });

  it('leaves out of the latencies, and of nothing else, what was due while it warmed up', async () => {
    const plan = await serve((socket) => socket.write(ANSWER));
    const { answers, byStatus, byLabel, latency } = await runLoad({
      ...plan,
      rate: 1_000,
      warmUpSeconds: 0.2,
    });
    expect(answers).toBe(300);
    expect(byStatus).toEqual({ 201: 300 });
    expect(Math.abs(latency.count - 100)).toBeLessThanOrEqual(1);
    expect(byLabel.answer?.accepted.count).toBe(latency.count);
  });

  it('counts a stall from the times at which requests were due', async () => {
    const STALL_MS = 200;
    let isStalled = true;
    const waiting: Socket[] = [];
    const plan = await serve((socket) => {
      if (waiting.length === 0 && isStalled) {
        setTimeout(() => {
          isStalled = false;
          for (const each of waiting) each.write(ANSWER);
        }, STALL_MS);
      }
      if (isStalled) waiting.push(socket);
      else socket.write(ANSWER);
    });
    const { answers, latency, backlogMax } = await runLoad({ ...plan, rate: 1_000 });
    expect(answers).toBe(300);
    expect(latency.maxMs).toBeGreaterThanOrEqual(STALL_MS - 5);
    // Two thirds were due while nothing answered: the half of them waited for half of the stall.
    expect(latency.p50Ms).toBeGreaterThan(STALL_MS / 8);
    expect(backlogMax).toBeGreaterThan(100);
  });

  it('says what was due and never sent, and counts how long it waited', async () => {
    const plan = await serve(() => undefined);
    const limits = { timeoutMs: 1_000, drainMs: 300 };
    const { answers, timeouts, unsent, latency, byStatus } = await runLoad({
      ...plan,
      ...limits,
      rate: 1_000,
    });
    expect(answers).toBe(0);
    expect(byStatus).toEqual({ timeout: timeouts });
    expect(timeouts + unsent).toBe(300);
    expect(latency.count).toBe(300);
    expect(latency.p50Ms).toBeGreaterThanOrEqual(300);
  });
});

describe('an open loop with patience', () => {
  // One in a tick, several, and a number that no tick holds evenly.
  it.each([1_000, 20_000, 7_770])(
    'does not send what no connection took in time, and says how much that is: %i/s',
    async (rate) => {
      const plan = await serve((socket) => void setTimeout(() => socket.write(ANSWER), 20));
      const patienceMs = 10;
      const result = await runLoad({ ...plan, rate, patienceMs });
      expect(result.unsent).toBeGreaterThan(0);
      const due = (300 * rate) / 1_000;
      expect(result.answers + result.unsent).toBe(due);
      expect(result.latency.count).toBe(due);
      const { accepted, acceptedSinceSent } = result.byLabel.answer ?? {};
      expect(accepted?.count).toBe(result.answers);
      expect(acceptedSinceSent?.count).toBe(result.answers);
      // Who was sent had waited no longer than that; three digits are kept of either.
      const waited = (accepted?.maxMs ?? Number.NaN) - (acceptedSinceSent?.maxMs ?? Number.NaN);
      expect(waited).toBeLessThan(patienceMs + (accepted?.maxMs ?? 0) / 500);
    },
  );
});

describe('a request without an answer', () => {
  it('counts as a timeout, and its caller goes on over a new connection', async () => {
    let requests = 0;
    const plan = await serve((socket) => {
      requests++;
      if (requests > 1) socket.write(ANSWER);
    });
    const result = await runLoad({ ...plan, connections: 1, timeoutMs: 300, seconds: 2 });
    // More than one only where this machine was busy for so long.
    expect(result.timeouts).toBeGreaterThanOrEqual(1);
    expect(result.byStatus.timeout).toBe(result.timeouts);
    expect(result.answers).toBeGreaterThan(0);
    expect(result.latency.maxMs).toBeGreaterThanOrEqual(300);
    expect(result.latency.count).toBe(result.answers + result.timeouts);
  });

  it('is not answered by what comes too late', async () => {
    const silent: Socket[] = [];
    const plan = await serve((socket) => {
      if (silent.length === 0) silent.push(socket);
      else {
        silent[0]?.write(wireAnswer(500));
        socket.write(ANSWER);
      }
    });
    const result = await runLoad({ ...plan, connections: 1, timeoutMs: 300, seconds: 2 });
    expect(Object.keys(result.byStatus).sort()).toEqual(['201', 'timeout']);
  });
});

describe('the length of an answer', () => {
  it('is head and body, once the head is there', () => {
    expect(answerLength(Buffer.from('HTTP/1.1 200 OK\r\nContent-Le'))).toBeUndefined();
    for (const name of ['Content-Length: ', 'content-length:', 'CONTENT-LENGTH:  ']) {
      const answer = wireAnswer(200, 'Content-Length: 99').replace('content-length: ', name);
      expect(answerLength(Buffer.from(answer))).toBe(answer.length);
    }
  });

  it('must be said', () => {
    const chunked = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(() => answerLength(chunked)).toThrow('no Content-Length');
  });
});

await describeTransports('the length of an answer', (transport) => {
  it('stands where the generator looks for it first', async () => {
    const server = await startHttpServer({ ...BARE, transport });
    let connection: WireConnection | undefined;
    const answer = await new Promise<string>((resolve, reject) => {
      connection = new WireConnection('127.0.0.1', server.port, {
        answered: (bytes) => resolve(bytes.toString('latin1')),
        lost: reject,
      });
      connection.send(Buffer.from('GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n'));
    });
    connection?.close();
    await server.close(0);
    expect(answer).toContain(LENGTH.toString('latin1'));
  });
});
