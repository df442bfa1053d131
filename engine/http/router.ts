// Which handler takes a request: from method and path to a route, decided on data alone.
//
// A pattern is made of segments: `/api/v1/products/{sku_id}`. A static segment wins over a
// parameter; where several patterns match a path, the best one that has the method is taken.

import type { Handler, RouteShape } from './exchange.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface BodyRule {
  /** A longer body is refused with 413. */
  readonly limitBytes: number;
  /** In lower case, without parameters; default `application/json`. Another type is 415. */
  readonly contentType?: string;
  /** Of many requests it is the same: a crowd wants one thing. See text-memory.ts. */
  readonly repeats?: boolean;
}

export interface Route {
  readonly method: Method;
  /** Begins with '/'; a parameter is a whole segment in braces. */
  readonly pattern: string;
  readonly handle: Handler;
  /** The request headers that the handler reads, in lower case. */
  readonly headers?: readonly string[];
  /** Absent: the route takes no body, and a request that brings one is refused with 413. */
  readonly body?: BodyRule;
  /** Rather waits than is refused, when there is no time for all; see admission.ts. */
  readonly isPatient?: boolean;
}

/** A route as the router holds it. */
export interface CompiledRoute extends RouteShape {
  readonly method: Method;
  readonly handle: Handler;
  /** Where the parameters stand among the path's segments, in the order of `paramNames`. */
  readonly paramIndexes: readonly number[];
  readonly isPatient: boolean;
  /** Served in any case: what tells people how the engine is. */
  readonly isVital: boolean;
  /** 0 for a route that takes no body. */
  readonly bodyLimitBytes: number;
  /** undefined for a route that takes no body. */
  readonly contentType: string | undefined;
  readonly bodyRepeats: boolean;
}

export type RouteMatch =
  | { readonly kind: 'route'; readonly route: CompiledRoute; readonly params: readonly string[] }
  /** The path is known, the method is not; `allow` is the value of the `Allow` header. */
  | { readonly kind: 'method'; readonly allow: string }
  /** A parameter holds a malformed percent sequence, or decodes to bytes that are not UTF-8. */
  | { readonly kind: 'malformed'; readonly segment: string }
  | { readonly kind: 'none' };

interface Node {
  readonly children: Map<string, Node>;
  param: Node | undefined;
  readonly routes: Map<string, CompiledRoute>;
}

const API = '/api/';
const NONE: RouteMatch = Object.freeze({ kind: 'none' });
const NO_PARAMS: readonly string[] = Object.freeze([]);

export class Router {
  readonly #root: Node = newNode();
  /** Paths without parameters, in one look-up: the hot paths are among them. */
  readonly #exact = new Map<string, Map<string, RouteMatch>>();

  /** Throws when a pattern is malformed, or a method and pattern are declared twice. */
  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
  }

  /** `method` in upper case, `path` as sent, without the query. HEAD takes the route of GET. */
  match(method: string, path: string): RouteMatch {
    const wanted = method === 'HEAD' ? 'GET' : method;
    const exact = this.#exact.get(path)?.get(wanted);
    if (exact !== undefined) return exact;
    const segments = path.split('/');
    segments.shift();
    const allowed = new Set<string>();
    const found = find(this.#root, segments, 0, wanted, allowed);
    if (found !== undefined) return bind(found, segments);
    return allowed.size === 0 ? NONE : { kind: 'method', allow: allowHeader(allowed) };
  }

  /** The routes without parameters: nothing but method and path decides that one is taken. */
  *exact(): Generator<RouteMatch & { readonly kind: 'route' }> {
    for (const byMethod of this.#exact.values()) {
      for (const match of byMethod.values()) if (match.kind === 'route') yield match;
    }
  }

  #add(route: Route): void {
    const segments = patternSegments(route.pattern);
    let node = this.#root;
    for (const segment of segments) node = childOf(node, segment);
    if (node.routes.has(route.method)) {
      throw new Error(`the route ${route.method} ${route.pattern} is declared twice`);
    }
    const compiled = compile(route, segments);
    node.routes.set(route.method, compiled);
    if (compiled.paramNames.length > 0) return;
    const byMethod = this.#exact.get(route.pattern) ?? new Map<string, RouteMatch>();
    byMethod.set(route.method, { kind: 'route', route: compiled, params: NO_PARAMS });
    this.#exact.set(route.pattern, byMethod);
  }
}

function newNode(): Node {
  return { children: new Map(), param: undefined, routes: new Map() };
}

function isParam(segment: string): boolean {
  return segment.startsWith('{');
}

function patternSegments(pattern: string): string[] {
  const segments = pattern.split('/');
  const wellFormed = segments
    .slice(1)
    .every((part) => /^(\{[a-z][a-z0-9_]*\}|[^{}%?#\s]+)$/.test(part));
  if (segments[0] !== '' || segments.length < 2 || (pattern !== '/' && !wellFormed)) {
    throw new Error(
      `the route pattern '${pattern}' is malformed: it begins with '/', has no empty segment, ` +
        `and a parameter is a whole segment such as '{sku_id}'`,
    );
  }
  return segments.slice(1);
}

function childOf(node: Node, segment: string): Node {
  if (isParam(segment)) {
    node.param ??= newNode();
    return node.param;
  }
  const child = node.children.get(segment) ?? newNode();
  node.children.set(segment, child);
  return child;
}

function compile(route: Route, segments: readonly string[]): CompiledRoute {
  const headerNames = route.headers ?? [];
  const upper = headerNames.find((name) => name !== name.toLowerCase());
  if (upper !== undefined) {
    throw new Error(`${route.method} ${route.pattern}: write the header '${upper}' in lower case`);
  }
  return {
    method: route.method,
    pattern: route.pattern,
    paramNames: segments.filter(isParam).map((segment) => segment.slice(1, -1)),
    paramIndexes: segments.flatMap((segment, index) => (isParam(segment) ? [index] : [])),
    headerNames,
    handle: route.handle,
    isPatient: route.isPatient ?? false,
    isVital: !route.pattern.startsWith(API),
    bodyLimitBytes: route.body?.limitBytes ?? 0,
    contentType: route.body && (route.body.contentType ?? 'application/json'),
    bodyRepeats: route.body?.repeats ?? false,
  };
}

/** Depth first, static before parameter; collects the methods of what matched without `method`. */
function find(
  node: Node,
  segments: readonly string[],
  at: number,
  method: string,
  allowed: Set<string>,
): CompiledRoute | undefined {
  const segment = segments[at];
  if (segment === undefined) {
    for (const name of node.routes.keys()) allowed.add(name);
    return node.routes.get(method);
  }
  const child = node.children.get(segment);
  const found = child && find(child, segments, at + 1, method, allowed);
  if (found !== undefined || node.param === undefined || segment === '') return found;
  return find(node.param, segments, at + 1, method, allowed);
}

function bind(route: CompiledRoute, segments: readonly string[]): RouteMatch {
  const params: string[] = [];
  for (const index of route.paramIndexes) {
    const segment = segments[index] ?? '';
    const decoded = decodeSegment(segment);
    if (decoded === undefined) return { kind: 'malformed', segment };
    params.push(decoded);
  }
  return { kind: 'route', route, params };
}

/** Undefined for a malformed percent sequence. */
function decodeSegment(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** RFC 9110 section 10.2.1; GET brings HEAD, and OPTIONS is answered for every known path. */
function allowHeader(methods: ReadonlySet<string>): string {
  const all = [...methods, ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'];
  return all.toSorted().join(', ');
}
