/** What the show is put on with: connections to the running system, and the live view of it. */
import { type Api, createApi } from './api.ts';
import type { SaleItem } from './flash-sale.ts';
import { Live } from './live.ts';
import { Meter } from './meter.ts';
import { openProbe, type Probe } from './probe.ts';
import type { Screen } from './screen.ts';
import type { DemoSystem } from './system.ts';

export interface Stage {
  /** What shoppers and orders ask with. */
  readonly api: Api;
  /** Of the requests over `api`. */
  readonly meter: Meter;
  /** What the demo itself asks with: not counted. */
  readonly watching: Api;
  readonly probe: Probe;
  readonly live: Live;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly screen: Screen;
  readonly system: DemoSystem;
  readonly item: SaleItem;
  readonly shoppers: number;
  readonly startMs: number;
}

/** The live view runs until `close`. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { screen, system, item, shoppers, startMs } = options;
  const { stack, engine } = system;
  const probe = await openProbe(stack.redisUrl, stack.databaseUrl);
  const meter = new Meter();
  const api = createApi(engine.url, meter);
  const watching = createApi(engine.url, new Meter());
  const { log } = stack;
  const live = new Live({ screen, meter, probe, api: watching, item, shoppers, log, startMs });
  live.start();
  const close = async (): Promise<void> => {
    await live.stop();
    api.close();
    watching.close();
    await probe.close();
  };
  return { api, meter, watching, probe, live, close };
}
