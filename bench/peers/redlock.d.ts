/** The part that is used: the types that the package brings cannot be found through its exports. */
declare module 'redlock' {
  import type { Redis } from 'ioredis';

  export class ExecutionError extends Error {}

  export interface Lock {
    release(): Promise<unknown>;
  }

  export default class Redlock {
    constructor(clients: Iterable<Redis>);
    /** Rejects with ExecutionError when others had it all the time. */
    acquire(resources: string[], durationMs: number): Promise<Lock>;
  }
}
