/** What the network does to bytes: holds, delays, cuts one way, and never loses or reorders. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { Network } from './network.ts';

const ends: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const HOST = '127.0.0.1';

/** Answers each chunk with the same in capitals, and keeps what it heard. */
async function capitals(): Promise<{ server: Server; port: number; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (chunk) => {
      heard.push(String(chunk));
      socket.write(String(chunk).toUpperCase());
    });
    socket.on('end', () => {
      heard.push('FIN');
      socket.end();
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  ends.push(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port, heard };
}

interface Caller {
  readonly socket: Socket;
  readonly heard: () => string;
}

async function call(port: number, localAddress: string): Promise<Caller> {
  const socket = connect({ host: HOST, port, localAddress });
  ends.push(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return { socket, heard: () => text };
}

async function world() {
  const network = new Network();
  ends.push(() => network.close());
  network.name('127.0.0.2', 'a');
  network.name('127.0.0.3', 'b');
  const server = await capitals();
  const upstream = { host: HOST, port: server.port };
  const { port } = await network.front({ party: 's', upstream });
  return { network, server, port };
}

it('tells callers apart by their address and holds only what a rule names', async () => {
  const { network, server, port } = await world();
  const a = await call(port, '127.0.0.2');
  const b = await call(port, '127.0.0.3');
  a.socket.write('one ');
  b.socket.write('two ');
  await expect.poll(() => a.heard() + b.heard()).toBe('ONE TWO ');
  network.cut(['a'], ['s']);
  a.socket.write('three ');
  b.socket.write('four ');
  await expect.poll(() => b.heard()).toBe('TWO FOUR ');
  expect(a.heard()).toBe('ONE ');
  expect(server.heard).not.toContain('three ');
  network.heal();
  await expect.poll(() => a.heard()).toBe('ONE THREE ');
});

it('cuts one way: the words arrive, the answers do not', async () => {
  const { network, server, port } = await world();
  const a = await call(port, '127.0.0.2');
  a.socket.write('one ');
  await expect.poll(() => a.heard()).toBe('ONE ');
  network.cutOneWay(['s'], ['a']);
  a.socket.write('two ');
  await expect.poll(() => server.heard).toContain('two ');
  expect(a.heard()).toBe('ONE ');
  network.heal();
  await expect.poll(() => a.heard()).toBe('ONE TWO ');
});

it('holds a FIN as it holds bytes, and lets it out behind them', async () => {
  const { network, server, port } = await world();
  const a = await call(port, '127.0.0.2');
  a.socket.write('one ');
  await expect.poll(() => a.heard()).toBe('ONE ');
  network.cut(['a'], ['s']);
  a.socket.end('last ');
  const b = await call(port, '127.0.0.3');
  b.socket.write('other ');
  await expect.poll(() => b.heard()).toBe('OTHER ');
  expect(server.heard).not.toContain('FIN');
  network.heal();
  await expect.poll(() => server.heard.slice(-2)).toEqual(['last ', 'FIN']);
});

it('does not let a new connection through a cut, nor one that gave up meanwhile', async () => {
  const { network, server, port } = await world();
  network.cutOneWay(['s'], ['a']);
  const patient = await call(port, '127.0.0.2');
  const impatient = await call(port, '127.0.0.2');
  patient.socket.write('patient ');
  impatient.socket.write('impatient ');
  const b = await call(port, '127.0.0.3');
  b.socket.write('b ');
  await expect.poll(() => b.heard()).toBe('B ');
  expect(server.heard).toEqual(['b ']);
  impatient.socket.destroy();
  await expect.poll(() => impatient.socket.closed).toBe(true);
  // Sent behind its FIN, so when this is answered that has been seen.
  b.socket.write('again ');
  await expect.poll(() => b.heard()).toBe('B AGAIN ');
  network.heal();
  await expect.poll(() => patient.heard()).toBe('PATIENT ');
  expect(server.heard).toEqual(['b ', 'again ', 'patient ']);
});

it('keeps the order of a megabyte that is delayed', async () => {
  const { network, port } = await world();
  const a = await call(port, '127.0.0.2');
  network.delay(['a'], ['s'], 5);
  network.delay(['s'], ['a'], 5);
  const words = Array.from({ length: 100_000 }, (_, i) => `w${i} `).join('');
  const startedMs = performance.now();
  a.socket.write(words);
  await expect.poll(() => a.heard().length, { timeout: 20_000 }).toBe(words.length);
  expect(a.heard()).toBe(words.toUpperCase());
  expect(performance.now() - startedMs).toBeGreaterThan(9);
});
