/** Who takes part, in the order in which they run. */
import { PEER_NAMES, type PeerName, recipeOf } from './catalogue.ts';
import type { Entrant } from './contender.ts';
import { holdfast } from './holdfast.ts';
import { fetchPackages } from './packages.ts';
import { startPeerProcess } from './peer-process.ts';
import { withStores } from './stores.ts';

export const ENTRANTS: readonly Entrant[] = [holdfast, ...PEER_NAMES.map(peerEntrant)];

function peerEntrant(name: PeerName): Entrant {
  const { books, packages, holdsEnd } = recipeOf(name);
  return {
    name,
    prepare: async () => {
      if (packages !== undefined) await fetchPackages(packages, process.env);
    },
    async start(urls, units) {
      const peer = await startPeerProcess({ ...urls, name, units });
      // What it answers it has done: nothing follows behind.
      return {
        ...peer,
        workerPids: [],
        settle: () => Promise.resolve(),
        countHeld: async (sku) =>
          holdsEnd ? (await withStores(urls, (stores) => books.read(stores, sku))).held : 0,
      };
    },
    withReader: (urls, work) =>
      withStores(urls, (stores) =>
        work({
          read: (sku) => books.read(stores, sku),
          countSold: (ids) => books.countSold(stores, ids),
          differences: () => Promise.resolve(0),
        }),
      ),
  };
}
