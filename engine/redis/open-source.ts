/**
 * Where connections of a deployment go: to the one node that REDIS_URL names, or to the primary that
 * the Sentinels name, wherever it moves. All connections of a process share one source, so that a
 * thousand engines ask each Sentinel a thousand times and not ten thousand times.
 */
import { parseRedisUrl } from '../runtime/redis-url.ts';
import { SentinelWatcher } from './sentinel-watcher.ts';
import { fixedSource, type RedisSource } from './source.ts';

export interface SourceOptions {
  readonly url: string;
  /** Local address of outgoing connections, for hosts that have several. */
  readonly localAddress?: string | undefined;
}

/** Nothing is opened before the first connection asks, nor kept open after the last has ended. */
export function openRedisSource({ url, localAddress }: SourceOptions): RedisSource {
  const target = parseRedisUrl(url);
  if (target.kind === 'node') return fixedSource(target.address, target, localAddress);
  const watcher = new SentinelWatcher(target, localAddress);
  return {
    target,
    localAddress,
    wantsPrimary: true,
    locate: (signal) => watcher.locate(signal),
    onMove: (listener) => watcher.onMove(listener),
    doubt: () => watcher.look(),
  };
}
