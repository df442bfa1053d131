/** Records that were looked at, by their places, and how many of them stand in one bucket. */
import { Digests, digestOf } from './digests.ts';
import type { DueReference } from './due-list.ts';

const BUCKETS = 2 ** 24;

export class SeenPlaces {
  readonly #places = new Digests();
  readonly #inBucket = new Map<number, number>();

  has({ packed, generation, bucket }: DueReference): boolean {
    return this.#places.has(digestOf(packed, generation, bucket));
  }

  /** Of one that stands there. False: it was seen before. */
  add({ packed, generation, bucket }: DueReference): boolean {
    if (!this.#places.add(digestOf(packed, generation, bucket))) return false;
    const key = generation * BUCKETS + bucket;
    this.#inBucket.set(key, (this.#inBucket.get(key) ?? 0) + 1);
    return true;
  }

  /** As many: then every record of the bucket was seen. */
  count(generation: number, bucket: number): number {
    return this.#inBucket.get(generation * BUCKETS + bucket) ?? 0;
  }
}
