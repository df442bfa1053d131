/**
 * What REDIS_URL may say, and what it means.
 *
 *   redis://[user[:password]@]host[:port][/database]                     one Redis
 *   redis+sentinel://[user[:password]@]host:port,.../master[?...]        the primary that Sentinels name
 *
 * `rediss` and `rediss+sentinel` speak TLS, to data nodes and Sentinels alike. Behind the `?` of the
 * second form: `username` and `password` of the data nodes (instead of those before the @),
 * `sentinel_username` and `sentinel_password` of the Sentinels, and `db`.
 */

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RedisLogin {
  readonly username?: string;
  readonly password?: string;
}

interface AnyTarget {
  readonly tls: boolean;
  readonly database: number;
  readonly login: RedisLogin;
}

export interface NodeTarget extends AnyTarget {
  readonly kind: 'node';
  readonly address: Address;
}

export interface SentinelTarget extends AnyTarget {
  readonly kind: 'sentinel';
  /** Those that are named; the others are asked for. */
  readonly sentinels: readonly Address[];
  /** The name under which Sentinels know the group. */
  readonly master: string;
  readonly sentinelLogin: RedisLogin;
}

export type RedisTarget = NodeTarget | SentinelTarget;

export const REDIS_PORT = 6379;
export const SENTINEL_PORT = 26_379;

const DATABASE_MAX = 15;
const SENTINEL_PARAMETERS = [
  'username',
  'password',
  'sentinel_username',
  'sentinel_password',
  'db',
] as const;

/** The text names no Redis; the message says what it should say, and never repeats a password. */
export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError';
}

/** Throws RedisUrlError. */
export function parseRedisUrl(text: string): RedisTarget {
  const match =
    /^(rediss?)(\+sentinel)?:\/\/(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  if (match === null) {
    throw new RedisUrlError(
      'wants redis://host:port, or redis+sentinel://host:port,host:port/master; rediss for TLS',
    );
  }
  const [, scheme, isSentinel, user, hosts = '', path = '', query = ''] = match;
  const common = { tls: scheme === 'rediss', login: readLogin(user) };
  const parameters = new URLSearchParams(query);
  return isSentinel === undefined
    ? nodeTarget(common, hosts, path, parameters)
    : sentinelTarget(common, hosts, path, parameters);
}

type Common = Pick<AnyTarget, 'tls' | 'login'>;

function nodeTarget(
  common: Common,
  hosts: string,
  path: string,
  parameters: URLSearchParams,
): NodeTarget {
  refuseUnknown(parameters, ['db']);
  const addresses = readAddresses(hosts, REDIS_PORT);
  const [address] = addresses;
  if (address === undefined || addresses.length > 1) {
    throw new RedisUrlError(
      'names several hosts; those of Sentinels go behind redis+sentinel://, with /master after them',
    );
  }
  return {
    kind: 'node',
    ...common,
    address,
    database: readDatabase(parameters.get('db') ?? path),
  };
}

function sentinelTarget(
  common: Common,
  hosts: string,
  path: string,
  parameters: URLSearchParams,
): SentinelTarget {
  refuseUnknown(parameters, SENTINEL_PARAMETERS);
  const master = decode(path);
  if (!/^[A-Za-z0-9._-]+$/.test(master)) {
    throw new RedisUrlError(
      'names no master: behind the Sentinels stands /NAME, as in "sentinel monitor NAME ..."',
    );
  }
  const given = loginOf(parameters.get('username'), parameters.get('password'));
  if (Object.keys(given).length > 0 && Object.keys(common.login).length > 0) {
    throw new RedisUrlError('has a login twice: before the @, and behind the ?');
  }
  return {
    kind: 'sentinel',
    tls: common.tls,
    login: { ...common.login, ...given },
    sentinels: readAddresses(hosts, SENTINEL_PORT),
    master,
    sentinelLogin: loginOf(
      parameters.get('sentinel_username'),
      parameters.get('sentinel_password'),
    ),
    database: readDatabase(parameters.get('db') ?? ''),
  };
}

function refuseUnknown(parameters: URLSearchParams, known: readonly string[]): void {
  for (const name of parameters.keys()) {
    if (!known.includes(name)) {
      throw new RedisUrlError(`has the unknown parameter "${name}"; known: ${known.join(', ')}`);
    }
  }
}

function readAddresses(hosts: string, portDefault: number): Address[] {
  if (hosts === '') throw new RedisUrlError('names no host');
  return hosts.split(',').map((each) => {
    const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/.exec(each);
    const port = Number(match?.[2] ?? portDefault);
    if (match?.[1] === undefined || port < 1 || port > 65_535) {
      throw new RedisUrlError(`"${each}" is no host:port`);
    }
    return { host: match[1].replace(/^\[|\]$/g, ''), port };
  });
}

function readLogin(user: string | undefined): RedisLogin {
  if (user === undefined) return {};
  const at = user.indexOf(':');
  return at < 0
    ? loginOf(decode(user), null)
    : loginOf(decode(user.slice(0, at)), decode(user.slice(at + 1)));
}

function loginOf(username: string | null, password: string | null): RedisLogin {
  return { ...(username && { username }), ...(password && { password }) };
}

function readDatabase(text: string): number {
  if (text === '') return 0;
  const database = Number(text);
  if (!/^\d+$/.test(text) || database > DATABASE_MAX) {
    throw new RedisUrlError(`names the database "${text}", which is no number from 0 to 15`);
  }
  return database;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RedisUrlError('has a % that begins no %XX; write %25 for a percent sign');
  }
}

/** For people; without logins. */
export function describeTarget(target: RedisTarget): string {
  return target.kind === 'node'
    ? `Redis at ${showAddress(target.address)}`
    : `the Redis group "${target.master}" (Sentinels ${target.sentinels.map(showAddress).join(', ')})`;
}

export function showAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function sameAddress(one: Address, other: Address): boolean {
  return one.host === other.host && one.port === other.port;
}
