/**
 * How many bytes of Redis's memory the entries of one epoch take behind a position, from samples.
 *
 * Redis does not tell: MEMORY USAGE looks at the oldest nodes of the stream alone, and told a fifth of
 * the truth where a quiet time was followed by a sale (README.md). So each look samples the entries that
 * came since the one before; what it finds stands for these, and for no others.
 */

/** Of entries next to each other: behind those of the stretch before it, up to and with `to`. */
interface Stretch {
  readonly to: number;
  readonly bytesEach: number;
  /** When they were first seen; monotonic, ms. */
  readonly seenAtMs: number;
}

/** When there are more, neighbours become one: a few KB, however long PostgreSQL is away. */
const STRETCHES_MAX = 256;

/**
 * What an entry takes of Redis's memory: its bytes, its id and lengths in a node, its share of the node
 * and of the tree, and the allocator's rounding. Measured (README.md); up to a fifth too much.
 */
export function memoryOf(entryBytes: number): number {
  return 24 + entryBytes * 1.22;
}

export class BacklogBytes {
  #stretches: Stretch[] = [];
  /** Entries up to here are not counted. */
  #from: number;
  /** Of the newest samples, memory of the largest entry. */
  #largest = memoryOf(0);

  constructor(from: number) {
    this.#from = from;
  }

  /** Last entry that is accounted for. */
  get to(): number {
    return this.#stretches.at(-1)?.to ?? this.#from;
  }

  /** For entries that nobody has looked at. */
  get largest(): number {
    return this.#largest;
  }

  /** Entries up to `to` were seen; `samples`: the bytes of some of those that are new. */
  add(to: number, samples: readonly number[], seenAtMs: number): void {
    if (to <= this.to) return;
    // None where all that was to be sampled left the stream meanwhile: then none of them waits.
    const sizes = samples.map(memoryOf);
    const sum = sizes.reduce((total, each) => total + each, 0);
    const bytesEach = sizes.length === 0 ? this.#largest : sum / sizes.length;
    if (sizes.length > 0) this.#largest = Math.max(...sizes);
    this.#stretches.push({ to, bytesEach, seenAtMs });
    if (this.#stretches.length > STRETCHES_MAX) this.#join();
  }

  /** PostgreSQL has everything up to here. */
  forget(upTo: number): void {
    if (upTo <= this.#from) return;
    this.#from = upTo;
    this.#stretches = this.#stretches.filter(({ to }) => to > upTo);
  }

  bytes(): number {
    let total = 0;
    let from = this.#from;
    for (const { to, bytesEach } of this.#stretches) {
      total += (to - from) * bytesEach;
      from = to;
    }
    return total;
  }

  /** When the oldest entry that waits was first seen; undefined: none waits. */
  oldestSeenAtMs(): number | undefined {
    return this.#stretches[0]?.seenAtMs;
  }

  #join(): void {
    const joined: Stretch[] = [];
    let from = this.#from;
    for (let i = 0; i < this.#stretches.length; i += 2) {
      const [first, second = first] = this.#stretches.slice(i, i + 2);
      if (first === undefined || second === undefined) break;
      const entries = second.to - from;
      const bytes = (first.to - from) * first.bytesEach + (second.to - first.to) * second.bytesEach;
      joined.push({ to: second.to, bytesEach: bytes / entries, seenAtMs: first.seenAtMs });
      from = second.to;
    }
    this.#stretches = joined;
  }
}
