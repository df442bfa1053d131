/**
 * `DATABASE_URL` may name several hosts, as libpq spells it (PostgreSQL's manual, section
 * "Specifying Multiple Hosts"): `postgresql://user:password@h1:p1,h2:p2/database?options`. One of
 * them is the primary, and which one changes when a standby is promoted.
 */

/** One host of a DATABASE_URL. */
export interface DatabaseHost {
  /** As the URL spells it, with its port: for people, and to tell hosts apart. */
  readonly name: string;
  /** An address or a name, without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

export interface DatabaseUrls {
  /** In the order of the URL; at least one. */
  readonly hosts: readonly DatabaseHost[];
  /** The URL with the first host alone: credentials, database and options are common to all. */
  readonly first: string;
}

const DEFAULT_PORT = 5_432;
/** More than a primary and its standbys is a mistake in the URL. */
const HOSTS_MAX = 16;
/** Scheme, credentials (up to the last @ before the path), hosts, and the rest. */
const URL_PARTS = /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^@/?#]*)([/?#].*)?$/;
const HOST_PART = /^(\[[0-9A-Fa-f:.%]+\]|[^[\]:,\s]*)(?::(\d{1,5}))?$/;
/** We always want the primary; the other values of libpq would say something that is not done. */
const TARGETS: readonly string[] = ['read-write', 'primary'];
const TARGET_PARAMETER = 'target_session_attrs';

/** Throws RangeError with what is wrong; the message never holds the password. */
export function parseDatabaseUrl(url: string): DatabaseUrls {
  const [, scheme, credentials = '', list = '', rest = ''] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined) {
    throw new RangeError('wants postgresql://user@host:port/database, several hosts with commas');
  }
  const parts = list.split(',');
  // Without a host the socket of the local server is meant, or `?host=` names it: libpq's own rules.
  const hosts = parts.map((part) => parseHost(part, parts.length > 1));
  if (hosts.length > HOSTS_MAX) throw new RangeError(`names more than ${HOSTS_MAX} hosts`);
  const twice = hosts.find(({ name }, i) => hosts.some((other, j) => j < i && other.name === name));
  if (twice !== undefined) throw new RangeError(`names ${twice.name} twice`);
  const first = `${scheme}${credentials}${parts[0] ?? ''}${withoutTarget(rest)}`;
  try {
    new URL(first.replace('@/', '@host/').replace('///', '//host/'));
  } catch {
    throw new RangeError('is no URL; percent-encode what is special in the user or the password');
  }
  return { hosts, first };
}

function parseHost(part: string, isOneOfSeveral: boolean): DatabaseHost {
  const [whole, host = '', digits] = HOST_PART.exec(part) ?? [];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (whole === undefined || port < 1 || port > 65_535 || (isOneOfSeveral && host === '')) {
    throw new RangeError(`wants host or host:port between its commas, not ${JSON.stringify(part)}`);
  }
  return { name: `${host}:${port}`, host: host.replace(/^\[(.*)\]$/, '$1'), port };
}

/** node-postgres does not know the parameter; what it asks for is what a pool does. */
function withoutTarget(rest: string): string {
  const [path = '', query] = rest.split('?', 2);
  if (query === undefined) return rest;
  const parameters = query.split('&');
  const target = parameters.find((each) => each.startsWith(`${TARGET_PARAMETER}=`));
  if (target === undefined) return rest;
  const value = target.slice(TARGET_PARAMETER.length + 1);
  if (!TARGETS.includes(value)) {
    throw new RangeError(`${TARGET_PARAMETER} may be ${TARGETS.join(' or ')}, not ${value}`);
  }
  const others = parameters.filter((each) => each !== target);
  return others.length === 0 ? path : `${path}?${others.join('&')}`;
}
