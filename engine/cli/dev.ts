/** `holdfast dev`: everything in one process, on the local stack. */
import type { LogChoice } from '../../deploy/local/stack.ts';
import { requireFree } from '../runtime/listen-error.ts';
import { createLogger } from '../runtime/log.ts';
import { requireSettings } from './check-settings.ts';
import { startAll } from './roles.ts';
import { readyLine } from './serve.ts';
import { startStackWithProgress } from './stack-progress.ts';
import type { TopologyOptions } from './topology-options.ts';
import { configure, untilSignal } from './until-ended.ts';

export interface DevOptions extends TopologyOptions {
  readonly port: string;
  readonly host: string;
  readonly dir?: string;
  readonly log: LogChoice;
}

export async function runDev({ port, host, dir, ...wanted }: DevOptions): Promise<void> {
  // A port that is wrong altogether is told with the rest of the configuration.
  if (/^\d{1,5}$/.test(port) && Number(port) < 65_536) await requireFree(host, Number(port));
  const stack = await startStackWithProgress({
    ...wanted,
    ...(dir !== undefined && { directory: dir }),
  });
  try {
    const config = configure({ ...process.env, ...stack.env }, { port, host });
    const log = createLogger('dev', config.logLevel);
    await requireSettings(config, log);
    const serving = await startAll({ config, log });
    process.stdout.write(`${readyLine(serving.url, stack.log)}\n`);
    await untilSignal();
    await serving.close();
  } finally {
    await stack.stop();
  }
}
