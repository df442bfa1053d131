/** What the commands of the roles do; loaded when one of them is started. */
import { parseTerm, showTerm } from '../../reconciler/term.ts';
import { createLogger } from '../runtime/log.ts';
import { untilThere } from '../runtime/unreachable.ts';
import { CommandError, EXIT } from './api.ts';
import { requireSettings } from './check-settings.ts';
import {
  type Role,
  type RoleOptions,
  runMigrations,
  startPersist,
  startRecover,
  startRelay,
  unparkLane,
} from './roles.ts';
import { configure, untilEnded } from './until-ended.ts';

export const relay = (): Promise<void> => hold('relay', startRelay);

export const persist = (): Promise<void> => hold('persister', startPersist);

async function hold(name: string, start: (options: RoleOptions) => Promise<Role>): Promise<void> {
  const config = configure(process.env, {});
  const log = createLogger(name, config.logLevel);
  await untilEnded(async (signal) => {
    await untilThere({ what: 'the stores', log, signal }, () => requireSettings(config, log));
    const running = await start({ config, log, signal });
    process.stdout.write(`holdfast ${name} runs\n`);
    return { close: () => running.close(), failed: Promise.resolve() };
  });
}

export async function recover(options: { unpark?: string | true; above?: string }): Promise<void> {
  const { unpark, above } = options;
  if (unpark === undefined && above === undefined) return hold('recovery', startRecover);
  const term = above === undefined ? undefined : parseTerm(above);
  if (unpark === undefined || (above !== undefined && term === undefined)) {
    throw new CommandError('--above <term> goes with --unpark; a term is like 1.6', EXIT.usage);
  }
  const config = configure(process.env, {});
  const log = createLogger('recovery', config.logLevel);
  const plan = await unparkLane({ config, log, above: term });
  if (plan.kind === 'refuse') throw new CommandError(plan.reason, EXIT.refused);
  if (plan.kind === 'not_parked') process.stdout.write('the lane is not parked\n');
  else {
    const number = plan.above === undefined ? '' : `, numbered above ${showTerm(plan.above)}`;
    process.stdout.write(`unparked: recovery will go on${number}\n`);
  }
}

export async function migrateOnce(): Promise<void> {
  const config = configure(process.env, {});
  const ran = await runMigrations({ config, log: createLogger('migrate', config.logLevel) });
  process.stdout.write(ran.length === 0 ? 'nothing to migrate\n' : `${ran.join('\n')}\n`);
}
