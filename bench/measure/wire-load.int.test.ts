/** The load generator against a server of the test's own. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { answerLength, type LoadPlan, runLoad } from './wire-load.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

const BODY = '{"a":1}';
const ANSWER = 'HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok';

/** Calls `answer` for each request that came whole. */
async function serve(answer: (socket: Socket, request: string) => void): Promise<LoadPlan> {
  const server = createServer((socket) => {
    sockets.add(socket);
    let begun = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      begun += String(chunk);
      if (!begun.endsWith(BODY)) return;
      const request = begun;
      begun = '';
      answer(socket, request);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: '127.0.0.1',
    port: address.port,
    method: 'POST',
    path: '/x',
    body: BODY,
    connections: 4,
    seconds: 0.3,
  };
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
});

describe('an open loop', () => {
  it('sends at its rate, whatever the answers do', async () => {
    const plan = await serve((socket) => socket.write(ANSWER));
    const { answers } = await runLoad({ ...plan, rate: 1_000 });
    expect(answers).toBe(300);
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
});

describe('the length of an answer', () => {
  it('is head and body, once the head is there', () => {
    expect(answerLength(Buffer.from('HTTP/1.1 200 OK\r\nContent-Le'))).toBeUndefined();
    expect(answerLength(Buffer.from(ANSWER))).toBe(ANSWER.length);
  });

  it('must be said', () => {
    const chunked = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(() => answerLength(chunked)).toThrow('no Content-Length');
  });
});
