/** The demo from nothing to its report; what is started for it is left to whoever asked, or stopped when it fails. */
import { readRealOrders } from '../orders/parse.ts';
import { buildReplay } from '../orders/replay.ts';
import { planFlashSale, type SaleSize } from './crowd.ts';
import { bestSeller } from './flash-sale.ts';
import type { DemoReport } from './report.ts';
import type { Screen } from './screen.ts';
import { putOnShow, type Script } from './show.ts';
import { type DemoSystem, type StackWish, startDemoSystem } from './system.ts';
import type { TryIt } from './words.ts';

export interface DemoOptions extends SaleSize, StackWish {
  /** Wiped at the start. */
  readonly directory: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly units: number;
}

export interface FinishedDemo {
  readonly report: DemoReport;
  readonly tryIt: TryIt;
  /** Still running: the caller stops it. */
  readonly system: DemoSystem;
}

/** Rejects, with everything stopped, when a part of it fails or the signal aborts. */
export async function runDemo(
  options: DemoOptions,
  screen: Screen,
  signal: AbortSignal,
): Promise<FinishedDemo> {
  const startMs = performance.now();
  const lines = await readRealOrders();
  const script: Script = {
    lines,
    replay: buildReplay(lines),
    item: bestSeller(lines, options.units),
    crowd: planFlashSale(options),
  };
  const system = await startDemoSystem(options);
  // An engine that died answers nobody: the demo must not wait for it.
  const dying = new AbortController();
  void system.engine.ended.then((how) => {
    dying.abort(new Error(`the engine ended: ${how}; see ${system.engine.logFile}`));
  });
  try {
    const shown = await putOnShow({
      size: options,
      screen,
      system,
      script,
      startMs,
      signal: AbortSignal.any([signal, dying.signal]),
    });
    return { ...shown, system };
  } catch (error) {
    await system.stop();
    throw error;
  }
}
