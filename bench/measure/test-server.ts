/** A server of the test's own for the load generator: its answers are the test's. */
import { createServer, type Server, type Socket } from 'node:net';

export interface WireServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

/** Calls `answer` for each request that came whole. */
export async function serveWire(
  answer: (socket: Socket, request: string) => void,
): Promise<WireServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let begun = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      begun += String(chunk);
      if (!isWhole(begun)) return;
      const request = begun;
      begun = '';
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return {
    host: HOST,
    port: portOf(server),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function isWhole(request: string): boolean {
  const head = request.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const [, length = '0'] = /\r\ncontent-length: *(\d+)/i.exec(request) ?? [];
  return request.length >= head + 4 + Number(length);
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** An answer with this status and body. */
export function wireAnswer(status: number, body = 'ok'): string {
  return `HTTP/1.1 ${status} X\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
