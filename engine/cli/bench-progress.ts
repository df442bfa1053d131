/**
 * Shows how a run of the bench goes on, on stderr: data goes to stdout. A terminal gets a live list
 * with a bar over the scenarios, a file or a pipe one line for each thing that happened.
 */
import { Listr, type ListrTaskWrapper } from 'listr2';
import type { OnRunProgress, RunProgress } from '../../bench/run.ts';
import { stderrList } from './stderr-list.ts';

export interface ShownProgress {
  readonly onProgress: OnRunProgress;
  /** Leaves the last picture standing, also after a run that broke off. */
  readonly finish: () => Promise<void>;
}

/** The clock of what is under way. */
const REDRAW_MS = 1_000;
const BAR_CELLS = 24;

export function showProgress(scenarios: readonly string[]): ShownProgress {
  return process.stderr.isTTY ? showList(scenarios) : { onProgress: printLine, finish: () => DONE };
}

const DONE = Promise.resolve();

function printLine(progress: RunProgress): void {
  process.stderr.write(`${lineOf(progress)}\n`);
}

export function lineOf(progress: RunProgress): string {
  if (progress.kind === 'preparing') return `${progress.what} ...`;
  if (progress.kind === 'left out') return `${progress.scenario}: ${LEFT_OUT}`;
  if (progress.kind === 'working') return `${progress.scenario}: ${progress.what} ...`;
  return `${progress.scenario}: ${outcomeOf(progress)}`;
}

const LEFT_OUT = 'left out, there is no time for it';

function outcomeOf({ result }: Extract<RunProgress, { kind: 'done' }>): string {
  const verdict = result.audit.ok ? 'its audit passed' : 'its audit FAILED';
  return `${result.took_s.toFixed(1)} s, ${verdict}`;
}

/** `[######..................] 2 of 8` */
export function barOf(done: number, all: number): string {
  const full = Math.round((done / Math.max(1, all)) * BAR_CELLS);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}] ${done} of ${all}`;
}

type Wrapper = Pick<ListrTaskWrapper<unknown, never, never>, 'output' | 'title'>;

/** One scenario in the list. */
interface Row {
  readonly run: (wrapper: Wrapper) => Promise<void>;
  readonly tell: (what: string) => void;
  /** With what its title says from now on; a failed one keeps its mark. */
  readonly end: (title: string, hasFailed: boolean) => void;
}

function showList(scenarios: readonly string[]): ShownProgress {
  const rows = new Map(scenarios.map((name) => [name, createRow(name)]));
  const list = new Listr(
    [...rows].map(([title, { run }]) => ({ title, task: (_: unknown, task) => run(task) })),
    stderrList(),
  );
  const shown = list.run();
  let done = 0;
  let what = '';
  let sinceMs = performance.now();
  let current = scenarios[0];
  const draw = (): void => {
    const seconds = ((performance.now() - sinceMs) / 1_000).toFixed(0);
    const row = current === undefined ? undefined : rows.get(current);
    row?.tell(`${barOf(done, scenarios.length)}  ${what}, ${seconds} s`);
  };
  const timer = setInterval(draw, REDRAW_MS);
  return {
    onProgress(progress) {
      if (progress.kind === 'done') {
        done += 1;
        const title = `${progress.scenario}: ${outcomeOf(progress)}`;
        rows.get(progress.scenario)?.end(title, !progress.result.audit.ok);
        return;
      }
      if (progress.kind === 'left out') {
        rows.get(progress.scenario)?.end(`${progress.scenario}: ${LEFT_OUT}`, false);
        return;
      }
      if (progress.kind === 'working') current = progress.scenario;
      ({ what } = progress);
      sinceMs = performance.now();
      draw();
    },
    async finish() {
      clearInterval(timer);
      for (const [name, { end }] of rows) end(`${name}: not run`, true);
      await shown;
    },
  };
}

/** Joins one task of the list, which wants a promise, with the events of a run. */
function createRow(name: string): Row {
  let wrapper: Wrapper | undefined;
  let latest = '';
  let settle: ((hasFailed: boolean) => void) | undefined;
  const ended = new Promise<void>((resolve, reject) => {
    settle = (hasFailed) => (hasFailed ? reject(new Error(name)) : resolve());
  });
  // The list looks at it when its turn comes.
  ended.catch(() => undefined);
  let title: string | undefined;
  return {
    run(task) {
      wrapper = task;
      if (title === undefined) task.output = latest;
      else task.title = title;
      return ended;
    },
    tell(what) {
      // The list has no place any more for what a task says after its end.
      if (title !== undefined) return;
      latest = what;
      if (wrapper !== undefined) wrapper.output = what;
    },
    end(words, hasFailed) {
      if (title !== undefined) return;
      title = words;
      if (wrapper !== undefined) wrapper.title = words;
      settle?.(hasFailed);
    },
  };
}
