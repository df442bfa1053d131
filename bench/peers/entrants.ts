/** Who takes part, in the order in which they run. */
import { PEER_NAMES, type PeerName, recipeOf } from './catalogue.ts';
import type { Entrant } from './contender.ts';
import { holdfast } from './holdfast.ts';
import { fetchPackages, type PackageVersions } from './packages.ts';
import { startPeerProcess } from './peer-process.ts';
import { withStores } from './stores.ts';

type Fetch = (versions: PackageVersions) => Promise<void>;

/** Of one run: packages that several want are fetched, or found to be unobtainable, once. */
export function createEntrants(
  fetch: Fetch = (versions) => fetchPackages(versions, process.env),
): readonly Entrant[] {
  const fetching = new Map<PackageVersions, Promise<void>>();
  const fetchOnce: Fetch = (versions) => {
    const known = fetching.get(versions) ?? fetch(versions);
    fetching.set(versions, known);
    return known;
  };
  return [holdfast, ...PEER_NAMES.map((name) => peerEntrant(name, fetchOnce))];
}

function peerEntrant(name: PeerName, fetch: Fetch): Entrant {
  const { books, packages, holdsEnd } = recipeOf(name);
  return {
    name,
    prepare: async () => {
      if (packages !== undefined) await fetch(packages);
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
