/** How a role lives: from its start to the signal that ends it, or to what it cannot go on with. */
import { type Config, readConfig } from '../runtime/config.ts';
import { WaitEnded } from '../runtime/unreachable.ts';
import type { Role } from './roles.ts';

export interface Held extends Role {
  /** Rejects when it cannot go on. */
  readonly failed: Promise<void>;
}

/** What the command line may say that stands above the environment. */
export interface Overrides {
  readonly port?: string;
  readonly host?: string;
  readonly workers?: string;
}

export function configure(env: NodeJS.ProcessEnv, options: Overrides): Config {
  return readConfig({
    ...env,
    ...(options.port !== undefined && { HOLDFAST_PORT: options.port }),
    ...(options.host !== undefined && { HOLDFAST_HOST: options.host }),
    ...(options.workers !== undefined && { HOLDFAST_WORKERS: options.workers }),
  });
}

/** From the start to a signal, which also ends a start that still waits for a store. */
export async function untilEnded(
  start: (signal: AbortSignal) => Promise<Held>,
  ending: Promise<void> = untilSignal(),
): Promise<void> {
  const stopping = new AbortController();
  const signalled = ending.then(() => stopping.abort());
  let held: Held;
  try {
    held = await start(stopping.signal);
  } catch (error) {
    // What was being tried ends by its own bound; nothing has begun that must be ended in order.
    if (error instanceof WaitEnded) process.exit();
    throw error;
  }
  try {
    await Promise.race([signalled, held.failed.then(() => signalled)]);
  } finally {
    await held.close();
  }
}

/** A second signal ends the process at once. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
