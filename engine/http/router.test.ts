import { describe, expect, it } from 'vitest';
import type { Method, Route } from './router.ts';
import { Router } from './router.ts';

function route(method: Method, pattern: string, more: Partial<Route> = {}): Route {
  return { method, pattern, handle: () => undefined, ...more };
}

/** The pattern and the parameters, or the kind of what is no route. */
function matched(router: Router, method: string, path: string): unknown {
  const match = router.match(method, path);
  return match.kind === 'route' ? [match.route.pattern, ...match.params] : match;
}

describe('Router', () => {
  const router = new Router([
    route('GET', '/a/{x}/c'),
    route('GET', '/a/b/{y}'),
    route('POST', '/a/b/c'),
    route('GET', '/{any}'),
    route('DELETE', '/{any}'),
    route('GET', '/static'),
  ]);

  it.each([
    // The longest static prefix wins, and is left when it has not the method.
    ['GET', '/a/b/c', ['/a/b/{y}', 'c']],
    ['POST', '/a/b/c', ['/a/b/c']],
    ['GET', '/a/x/c', ['/a/{x}/c', 'x']],
    ['HEAD', '/static', ['/static']],
    ['DELETE', '/static', ['/{any}', 'static']],
    ['GET', '/%7Bany%7D', ['/{any}', '{any}']],
    ['GET', '/{any}', ['/{any}', '{any}']],
    ['GET', '/constructor', ['/{any}', 'constructor']],
  ])('%s %s', (method, path, expected) => {
    expect(matched(router, method, path)).toEqual(expected);
  });

  it.each([
    ['PUT', '/a/b/c', 'GET, HEAD, OPTIONS, POST'],
    ['PUT', '/static', 'DELETE, GET, HEAD, OPTIONS'],
    ['HEAD', '/a/b', undefined],
    ['get', '/static', 'DELETE, GET, HEAD, OPTIONS'],
    ['__proto__', '/static', 'DELETE, GET, HEAD, OPTIONS'],
  ])('%s %s is no route', (method, path, allow) => {
    const expected = allow === undefined ? { kind: 'none' } : { kind: 'method', allow };
    expect(matched(router, method, path)).toEqual(expected);
  });

  it.each(['', '*', 'static', '/static/', '//static', 'http://a/static', '/a//c'])(
    'nothing is at %j',
    (path) => expect(matched(router, 'GET', path)).toEqual({ kind: 'none' }),
  );

  it('names the segment that is malformed', () => {
    expect(matched(router, 'GET', '/a/%E0%A4/c')).toEqual({ kind: 'malformed', segment: '%E0%A4' });
  });

  it.each(['', 'a', '/a/', '//', '/a b', '/{}', '/{A}', '/x{y}', '/{y}x', '/a?b', '/a%20b'])(
    'refuses the pattern %j',
    (pattern) => expect(() => new Router([route('GET', pattern)])).toThrow(/is malformed/),
  );

  it('refuses a route that is declared twice, also under another name', () => {
    const twice = [route('GET', '/a/{x}'), route('GET', '/a/{y}')];
    expect(() => new Router(twice)).toThrow('the route GET /a/{y} is declared twice');
  });

  it('refuses a header that is not in lower case', () => {
    const routes = [route('GET', '/a', { headers: ['Prefer'] })];
    expect(() => new Router(routes)).toThrow("write the header 'Prefer' in lower case");
  });
});
