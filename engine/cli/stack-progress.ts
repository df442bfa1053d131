/**
 * Shows how the local stack comes up, on stderr: data goes to stdout. A terminal gets a live list,
 * a file or a pipe one line for each thing that happened.
 */
import { Listr, type ListrTaskWrapper } from 'listr2';
import type { OnProgress, Progress, ProgressStep } from '../../deploy/local/progress.ts';
import { type Stack, type StackOptions, startStack } from '../../deploy/local/stack.ts';
import { TopologyError } from '../../deploy/local/stack-group.ts';
import { CommandError, EXIT } from './api.ts';
import { stderrList } from './stderr-list.ts';

const TITLES: Readonly<Record<ProgressStep, string>> = {
  install: 'Programs',
  redis: 'Redis',
  postgres: 'PostgreSQL',
  kafka: 'Kafka',
};
const STEPS: readonly ProgressStep[] = ['install', 'redis', 'postgres', 'kafka'];

/** `startStack` with its progress on stderr; throws CommandError where a person has to decide. */
export async function startStackWithProgress(
  options: Omit<StackOptions, 'onProgress'> = {},
): Promise<Stack> {
  try {
    return await showStart(options);
  } catch (error) {
    if (error instanceof TopologyError) throw new CommandError(error.message, EXIT.usage);
    throw error;
  }
}

async function showStart(options: Omit<StackOptions, 'onProgress'>): Promise<Stack> {
  if (!process.stderr.isTTY) return await startStack({ ...options, onProgress: printLines() });
  const steps = new Map(STEPS.map((step) => [step, createStep(step)]));
  const list = new Listr(
    [...steps.values()].map(({ title, run }) => ({ title, task: (_, task) => run(task) })),
    { ...stderrList(), concurrent: true },
  );
  const shown = list.run();
  let isStarted = false;
  try {
    return await startStack({
      ...options,
      onProgress: (progress) => {
        // What comes after the start (the end of the servers) is shown by nobody.
        if (!isStarted) steps.get(progress.step)?.onProgress(progress);
      },
    });
  } finally {
    isStarted = true;
    for (const step of steps.values()) step.finish();
    await shown;
  }
}

/** The text of one line for a log file; undefined for what only a live display is for. */
export function progressLine({ step, state, detail }: Progress): string | undefined {
  if (state === 'detail') return undefined;
  if (state === 'done') return `${TITLES[step]}: ${detail}`;
  if (state === 'skipped') return `${TITLES[step]}: skipped: ${detail}`;
  // The error that follows says the rest.
  if (state === 'failed') return `${TITLES[step]}: failed: ${detail.split('\n')[0]}`;
  return `${TITLES[step]}: ${detail} ...`;
}

function printLines(): OnProgress {
  return (progress) => {
    const line = progressLine(progress);
    if (line !== undefined) process.stderr.write(`${line}\n`);
  };
}

type Wrapper = Pick<ListrTaskWrapper<unknown, never, never>, 'output' | 'skip' | 'title'>;

interface Step {
  readonly title: string;
  readonly run: (task: Wrapper) => Promise<void>;
  readonly onProgress: (progress: Progress) => void;
  /** Ends a step that nothing was heard of, because the start failed before it. */
  readonly finish: () => void;
}

/** Joins one task of the list, which wants a promise, with the events of one step. */
function createStep(step: ProgressStep): Step {
  const title = TITLES[step];
  const { promise, resolve, reject } = withResolvers();
  let wrapper: Wrapper | undefined;
  let latest: Progress | undefined;
  const show = () => {
    if (wrapper === undefined || latest === undefined) return;
    const { state, detail } = latest;
    if (state === 'working' || state === 'detail') wrapper.output = detail;
    if (state === 'done') wrapper.title = `${title}: ${detail}`;
    if (state === 'skipped') wrapper.skip(`${title}: ${detail}`);
    if (state === 'failed') reject(new Error(`${title}: ${detail}`));
    if (state === 'done' || state === 'skipped') resolve();
  };
  return {
    title,
    // The list draws its first picture a moment after the start: what happened before is shown then.
    run: (task) => {
      wrapper = task;
      show();
      return promise;
    },
    onProgress: (progress) => {
      latest = progress;
      show();
    },
    finish: resolve,
  };
}

interface Resolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers(): Resolvers {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
