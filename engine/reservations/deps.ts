/** What all services of this folder work with; the composition root makes it once. */
import type { IdMaker } from '../domain/reservation-id.ts';
import type { Lane, Watermarks } from '../redis/lane-port.ts';
import type { WarehouseDirectory } from '../stock/directory.ts';
import type { Archive } from './archive.ts';
import type { ReservationPolicy } from './policy.ts';
import type { SoldOutCache } from './sold-out.ts';

export interface ReservationDeps {
  readonly lane: Lane;
  readonly watermarks: Watermarks;
  readonly archive: Archive;
  readonly directory: WarehouseDirectory;
  readonly ids: IdMaker;
  readonly policy: ReservationPolicy;
  readonly soldOut: SoldOutCache;
}
