/** The order in which settlements travel: those whose records stand in one bucket come together. */
import { addressOf, BUCKETS, type IdAddress } from '../domain/reservation-id.ts';
import type { Operation } from './operation.ts';

export interface BucketGroup {
  readonly address: IdAddress;
  readonly members: { readonly operation: Operation; readonly index: number }[];
}

/** Ids in one argument list of Redis' Lua; far below what it can take. */
const GROUP_MAX = 128;

/**
 * Settlements whose records stand in one bucket, which the script then reads at once; those of one id
 * stay in the order in which they came. A reserve mostly has nothing to read: each is a group.
 */
export class BucketGroups {
  readonly all: BucketGroup[] = [];
  readonly #open = new Map<number, BucketGroup>();

  add(operation: Operation, index: number): void {
    const address = addressOf(operation.id);
    const place = address.generation * BUCKETS + address.bucket;
    let group = operation.kind === 'reserve' ? undefined : this.#open.get(place);
    if (group === undefined || group.members.length === GROUP_MAX) {
      group = { address, members: [] };
      this.all.push(group);
      if (operation.kind !== 'reserve') this.#open.set(place, group);
    }
    group.members.push({ operation, index });
  }
}
