/**
 * What an acknowledgement promises to survive (design section 6). They nest, weakest first:
 * `memory` done on the primary; `replicated` a majority of the data nodes has it, and every replica
 * in sync; `fsync` that, and it is on the primary's disk; `logged` the fenced log has it;
 * `persisted` PostgreSQL has it.
 */
export const DURABILITY_LEVELS = ['memory', 'replicated', 'fsync', 'logged', 'persisted'] as const;
export type DurabilityLevel = (typeof DURABILITY_LEVELS)[number];

/** Those that Redis itself confirms, to the connection that wrote. */
export const REDIS_LEVELS = ['replicated', 'fsync'] as const satisfies readonly DurabilityLevel[];
export type RedisLevel = (typeof REDIS_LEVELS)[number];

/** Levels that a deployment cannot give: why, and what to set. */
export type LevelLacks = Readonly<Partial<Record<DurabilityLevel, string>>>;

/** What may have a level of its own. */
export const DURABLE_VERBS = [
  'reserve',
  'extend',
  'release',
  'commit',
  'cancel',
  'ship',
  'stock',
] as const;
export type DurableVerb = (typeof DURABLE_VERBS)[number];

/** What an acknowledgement promises where the request prefers nothing else. */
export type LevelTable = Readonly<Record<DurableVerb, DurabilityLevel>>;

/** What a class of SKUs says of its levels; the deployment's stand where it says nothing. */
export type ClassLevels = Readonly<Partial<LevelTable>>;

export function isDurabilityLevel(text: string): text is DurabilityLevel {
  return (DURABILITY_LEVELS as readonly string[]).includes(text);
}

export function isRedisLevel(level: DurabilityLevel | undefined): level is RedisLevel {
  return level === 'replicated' || level === 'fsync';
}

export function stronger(a: DurabilityLevel, b: DurabilityLevel): DurabilityLevel {
  return DURABILITY_LEVELS.indexOf(a) >= DURABILITY_LEVELS.indexOf(b) ? a : b;
}
