/** What connections ask for their address (the port of connector.ts), and its plainest form. */
import type { Address, RedisTarget } from '../runtime/redis-url.ts';

export interface RedisSource {
  readonly target: RedisTarget;
  readonly localAddress: string | undefined;
  /** A node that says it is a replica is none of ours: Sentinel names the primary. */
  readonly wantsPrimary: boolean;
  /** Where the primary is. Rejects with the reason when it cannot be found out. */
  locate(signal: AbortSignal): Promise<Address>;
  /** From now on the caller is told of each move. It watches as long as anybody is told. */
  onMove(listener: (to: Address) => void): () => void;
  /** Something is wrong with the node that was located: look now. */
  doubt(): void;
}

/** One node, never another. */
export function fixedSource(
  address: Address,
  target: RedisTarget,
  localAddress: string | undefined,
): RedisSource {
  return {
    target,
    localAddress,
    wantsPrimary: false,
    locate: async () => address,
    onMove: () => () => undefined,
    doubt: () => undefined,
  };
}
