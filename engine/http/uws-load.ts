// Finds a build of uWebSockets.js. The packages differ in names and form; what the transport uses of
// them is written down here as the one shape that they are brought into.

import { DEFAULT_HTTP_LIMITS } from './port.ts';

/** Text or bytes. */
type Recognized = string | ArrayBuffer | Uint8Array;

export interface UwsResponse {
  /** Text and bytes are copied, here and in `end`. */
  writeStatus(status: Recognized): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  end(body?: Recognized, closeConnection?: boolean): UwsResponse;
  endWithoutBody(): UwsResponse;
  /**
   * Sends what the connection takes at once, of a body or of the rest of one; 0 says that this is the
   * whole body. The first of the two: whether it took all; if not, the response stays open. Of an empty
   * body it cannot tell.
   */
  tryEnd(body: Recognized, totalBytes: number): readonly [boolean, boolean];
  /** `offset`: how much of the body was taken. Called until the response is ended. */
  onWritable(callback: (offset: number) => boolean): UwsResponse;
  /** Closes the connection; calls `onAborted`. */
  close(): UwsResponse;
  cork(callback: () => void): UwsResponse;
  onAborted(callback: () => void): UwsResponse;
  /** The chunk is valid only during the callback. */
  onData(callback: (chunk: ArrayBuffer, isLast: boolean) => void): UwsResponse;
}

/** Valid only until the route callback returns. */
export interface UwsRequest {
  getCaseSensitiveMethod(): string;
  getUrl(): string;
  /** Undefined when the URL has no question mark. */
  getQuery(): string | undefined;
  /** '' when it was not sent. */
  getHeader(lowerCaseName: string): string;
}

/** Opaque; null or false when listening failed. */
export type UwsListenSocket = object | null | false;

type UwsHandler = (res: UwsResponse, req: UwsRequest) => void;

export interface UwsApp {
  any(pattern: string, handler: UwsHandler): UwsApp;
  get(pattern: string, handler: UwsHandler): UwsApp;
  post(pattern: string, handler: UwsHandler): UwsApp;
  listen(
    host: string,
    port: number,
    options: number,
    callback: (socket: UwsListenSocket) => void,
  ): UwsApp;
  /** Closes the listening socket and every connection. */
  close(): UwsApp;
}

export interface Uws {
  readonly packageName: string;
  newApp(): UwsApp;
  closeListenSocket(socket: UwsListenSocket): void;
  portOf(socket: UwsListenSocket): number;
  /** Without this option uWS shares a port with whoever else listens on it. */
  readonly exclusivePort: number;
}

export type UwsLoad =
  | { readonly kind: 'loaded'; readonly uws: Uws }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** The official package first: a user who added it wants it. The others are builds on npm. */
export const UWS_PACKAGES: readonly string[] = ['uWebSockets.js', 'uws-pack', '@rjweb/uws'];

/** Tries the packages in order; says of each why it was not taken. */
export async function loadUws(packages: readonly string[] = UWS_PACKAGES): Promise<UwsLoad> {
  // Read by newer builds when they are loaded; their own default of 4,096 is less than a browser's
  // cookies and a tracing proxy's headers together.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(DEFAULT_HTTP_LIMITS.headBytes);
  const reasons: string[] = [];
  for (const name of packages) {
    try {
      return { kind: 'loaded', uws: adapt(name, await import(name)) };
    } catch (error) {
      reasons.push(`${name}: ${reasonOf(error)}`);
    }
  }
  return { kind: 'unavailable', reason: reasons.join('; ') };
}

function adapt(packageName: string, module: unknown): Uws {
  const outer = members(module);
  const binding = 'App' in members(outer.default) ? members(outer.default) : outer;
  const exclusivePort = binding.LIBUS_LISTEN_EXCLUSIVE_PORT;
  const newApp = functionOf(binding, 'App');
  const closeListenSocket = functionOf(binding, 'us_listen_socket_close', 'closeSocket');
  const portOf = functionOf(binding, 'us_socket_local_port', 'getSocketPort');
  if (typeof exclusivePort !== 'number') throw new Error('it cannot listen exclusively');
  return {
    packageName,
    newApp: () => {
      const app = newApp();
      if (!isApp(app)) throw new Error(`${packageName} makes an app that this port does not know`);
      return app;
    },
    closeListenSocket: (socket) => void closeListenSocket(socket),
    portOf: (socket) => Number(portOf(socket)),
    exclusivePort,
  };
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

type Native = (...args: readonly unknown[]) => unknown;

/** The function under the first of `names` that is there; forks have renamed some. */
function functionOf(binding: Readonly<Record<string, unknown>>, ...names: string[]): Native {
  const found = names.map((name) => binding[name]).find(isNative);
  if (found === undefined) throw new Error(`it has no function ${names.join(' or ')}`);
  return found;
}

function isNative(value: unknown): value is Native {
  return typeof value === 'function';
}

function isApp(value: unknown): value is UwsApp {
  if (typeof value !== 'object' || value === null) return false;
  return ['any', 'get', 'post', 'listen', 'close'].every((name) => name in value);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return 'not installed';
  const [line = ''] = error.message.trim().split('\n', 1);
  return line;
}
