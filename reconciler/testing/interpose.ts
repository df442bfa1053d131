/**
 * Stands between a recovery and the real stores, and calls `before` ahead of every call that it
 * makes to them: there a test lets another recovery run, or lets this one die.
 */
import type { RecoveryDeps } from '../claim.ts';
import type { Registry } from '../registry.ts';

/** How often recovery looks at the registry depends on how long it waits: these are not counted. */
const LOOKS: ReadonlySet<string> = new Set(['registry.read', 'registry.touch']);

/** Name and number of the call, from 0. */
export type BeforeCall = (call: string, nth: number) => Promise<void>;

export function interpose(deps: RecoveryDeps, before: BeforeCall): RecoveryDeps {
  let count = 0;
  const around = <T extends object>(name: string, target: T): T =>
    new Proxy(target, {
      get(_, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        if (property === 'address') return value.bind(target);
        return async (...args: unknown[]) => {
          const call = `${name}.${String(property)}`;
          if (!LOOKS.has(call)) await before(call, count++);
          return Reflect.apply(value, target, args);
        };
      },
    });
  return {
    ...deps,
    state: around('state', deps.state),
    log: around('log', deps.log),
    registry: around<Registry>('registry', deps.registry),
  };
}
