/** What callers owe their flows: every answer told once, in order, and nothing sent out of time. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Flow, FlowAnswer, FlowRequest } from './flow.ts';
import { request } from './flows/request.ts';
import { LoadStream } from './load-stream.ts';
import { LoadTally } from './load-tally.ts';
import { serveWire, type WireServer, wireAnswer } from './test-server.ts';

const servers: WireServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface Setting {
  readonly flows: readonly Flow[];
  readonly answer: (socket: Socket, request: string) => void;
  readonly seconds?: number;
  readonly rate?: number;
  readonly timeoutMs?: number;
}

async function run({ flows, answer, seconds = 30, rate, timeoutMs = 30_000 }: Setting) {
  const server = await serveWire(answer);
  servers.push(server);
  const tally = new LoadTally();
  const stream = new LoadStream(flows, tally, {
    ...{ host: server.host, port: server.port, seconds, timeoutMs, drainMs: 10_000 },
    ...(rate !== undefined && { rate }),
  });
  try {
    await stream.connect();
    await stream.run(performance.now());
  } finally {
    stream.close();
  }
  return { tally, stream };
}

const get = (path: string, more: Partial<FlowRequest> = {}): FlowRequest => ({
  bytes: request({ host: 'x', port: 1 }, 'GET', path),
  label: 'get',
  ...more,
});
const NO_TIMES = { sinceDueMs: 1, sinceSentMs: 1, atMs: 1 };
const pathOf = (text: string): string => text.split(' ')[1] ?? '';
const echo = (socket: Socket, text: string): void => {
  socket.write(wireAnswer(200, JSON.stringify(pathOf(text))));
};

/** Asks for /0, /1, ... and holds each answer against what it asked. */
function counting(count: number): Flow & { readonly heard: () => number } {
  let asked = 0;
  return {
    heard: () => asked - 1,
    next(answer) {
      if (asked > 0) expect(answer?.body()).toBe(`/${asked - 1}`);
      else expect(answer).toBeUndefined();
      return asked <= count ? get(`/${asked++}`) : undefined;
    },
  };
}

describe('a flow', () => {
  it('hears each answer before it is asked what comes next, and may end before the time', async () => {
    const flows = Array.from({ length: 5 }, () => counting(20));
    const { tally } = await run({ flows, answer: echo });
    expect(tally.answers).toBe(5 * 21);
  });

  it('hears every answer of an open loop, too, though nothing more is sent', async () => {
    const heard: number[] = [];
    const flow: Flow = {
      next: (answer) => {
        if (answer !== undefined) heard.push(answer.status);
        return get('/');
      },
    };
    const { tally } = await run({
      flows: [flow, flow, flow],
      answer: echo,
      rate: 100,
      seconds: 0.5,
    });
    expect(tally.answers).toBe(50);
    expect(heard).toEqual(Array.from({ length: 50 }, () => 200));
  });

  it('that ends in an open loop ends the load', async () => {
    const flows = [counting(3), counting(3)];
    const { tally } = await run({ flows, answer: echo, rate: 1_000 });
    expect(tally.answers).toBe(8);
  });

  it('that throws fails the load', async () => {
    const flow: Flow = {
      next: (answer) => {
        if (answer !== undefined) throw new Error('sold twice');
        return get('/');
      },
    };
    await expect(run({ flows: [flow], answer: echo })).rejects.toThrow('sold twice');
  });

  it('is told of a timeout as status 0, and may ask again', async () => {
    const statuses: number[] = [];
    const flow: Flow = {
      next: (answer: FlowAnswer | undefined) => {
        if (answer !== undefined) statuses.push(answer.status);
        return statuses.includes(200) ? undefined : get('/');
      },
    };
    let requests = 0;
    const answer = (socket: Socket, text: string): void => {
      if (++requests > 2) echo(socket, text);
    };
    const { tally } = await run({ flows: [flow], answer, timeoutMs: 100 });
    // More zeros only where this machine was busy for so long.
    expect([statuses[0], statuses[1], statuses.at(-1)]).toEqual([0, 0, 200]);
    expect([tally.timeouts, tally.answers]).toEqual([statuses.length - 1, 1]);
  });
});

describe('a request with a time of its own', () => {
  it('is not sent before it, and its latency counts from it', async () => {
    const startMs = performance.now();
    const arrivedMs: number[] = [];
    const due = [50, 120, 40];
    let next = 0;
    const flow: Flow = {
      next: () => {
        const dueMs = due[next++];
        return dueMs === undefined ? undefined : get('/', { dueMs });
      },
    };
    const answer = (socket: Socket, text: string): void => {
      arrivedMs.push(performance.now() - startMs);
      echo(socket, text);
    };
    const { tally } = await run({ flows: [flow], answer });
    // A timer may be a millisecond early.
    expect(arrivedMs[0]).toBeGreaterThan(48);
    expect(arrivedMs[1]).toBeGreaterThan(118);
    // The third was due 80 ms before the second was, and waited for it.
    expect(tally.latency().maxMs).toBeGreaterThanOrEqual(78);
  });

  it('is not sent when that is after the end', async () => {
    const flow: Flow = { next: (answer) => get('/', { dueMs: answer === undefined ? 0 : 60_000 }) };
    const { tally } = await run({ flows: [flow], answer: echo, seconds: 1 });
    expect(tally.answers).toBe(1);
  });
});

describe('a connection', () => {
  it('that is closed while nobody waits for it is opened again', async () => {
    const sockets: Socket[] = [];
    const flow: Flow = {
      next: (answer) => (answer === undefined ? get('/0') : undefined),
    };
    let asked = 0;
    const later: Flow = {
      // The second request comes when the first flow's connection, idle since, is long closed.
      next: () => (asked < 2 ? get(`/${asked}`, { dueMs: asked++ * 300 }) : undefined),
    };
    const answer = (socket: Socket, text: string): void => {
      sockets.push(socket);
      echo(socket, text);
      socket.end();
    };
    const { tally } = await run({ flows: [flow, later], answer });
    expect(tally.answers).toBe(3);
    expect(new Set(sockets).size).toBe(3);
  });
});

describe('the tally', () => {
  it('keeps labels apart, and a label has a limit', async () => {
    let n = 0;
    const flow: Flow = { next: () => (n < 20 ? get('/', { label: `l${n++ % 2}` }) : undefined) };
    const { tally } = await run({ flows: [flow], answer: echo });
    const { l0, l1 } = tally.byLabel();
    expect([l0?.answers, l1?.answers]).toEqual([10, 10]);
    expect(l0?.latency.count).toBe(10);
    const many = new LoadTally();
    expect(() => {
      for (let i = 0; i < 100; i++) many.count(`l${i}`, 200, NO_TIMES, () => '');
    }).toThrow('more than 64 labels');
  });

  it('counts answers in the second in which they came', () => {
    const tally = new LoadTally();
    for (const atMs of [0, 999, 1_000, 3_500])
      tally.count('x', 200, { ...NO_TIMES, atMs }, () => '');
    expect(tally.byLabel().x?.perSecond).toEqual({ 200: [2, 1, 0, 1] });
  });
});
