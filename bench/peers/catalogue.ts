/** Every peer by its name: how it is made, and who reads its books. */
import { createMedusa, MEDUSA_PACKAGES, medusaBooks } from './medusa.ts';
import type { PackageVersions } from './packages.ts';
import type { Bookkeeper, Peer, StoreUrls } from './peer.ts';
import { createPostgresPeer, postgresBooks, type Take } from './postgres-holds.ts';
import { takeByUpdate, takeByVersion, takeForUpdate } from './postgres-take.ts';
import { createRedisCounter } from './redis-counter.ts';
import { createRedisHolds, type TakeUnits } from './redis-holds.ts';
import { type RedisStore, redisBooks } from './redis-store.ts';
import { takeByScript, takeUnderLock } from './redis-take.ts';

export interface Recipe {
  readonly create: (urls: StoreUrls) => Promise<Peer>;
  readonly books: Bookkeeper;
  /** Units of a hold that nobody pays for come back. */
  readonly holdsEnd: boolean;
  /** Fetched on demand. */
  readonly packages?: PackageVersions;
}

const postgres = (take: Take): Recipe => ({
  create: ({ databaseUrl }) => Promise.resolve(createPostgresPeer(databaseUrl, take)),
  books: postgresBooks,
  holdsEnd: true,
});

const medusa = (isLocked: boolean): Recipe => ({
  create: (urls) => createMedusa(urls, { isLocked }),
  books: medusaBooks,
  holdsEnd: false,
  packages: MEDUSA_PACKAGES,
});

const redis = (take: (store: RedisStore) => Promise<TakeUnits>): Recipe => ({
  create: (urls) => createRedisHolds(urls, take),
  books: redisBooks,
  holdsEnd: true,
});

const PEERS = {
  'PostgreSQL, SELECT FOR UPDATE': postgres(takeForUpdate),
  'PostgreSQL, one conditional UPDATE': postgres(takeByUpdate),
  'PostgreSQL, version column, 3 retries': postgres(takeByVersion),
  'Redis, DECR and INCR': { create: createRedisCounter, books: redisBooks, holdsEnd: false },
  'Redis, a script a request': redis(takeByScript),
  'Redis, Redlock': redis(takeUnderLock),
  'Medusa inventory, service': medusa(false),
  'Medusa inventory, workflow': medusa(true),
} as const satisfies Readonly<Record<string, Recipe>>;

export type PeerName = keyof typeof PEERS;
export const PEER_NAMES = Object.keys(PEERS) as PeerName[];

export function recipeOf(name: PeerName): Recipe {
  return PEERS[name];
}
