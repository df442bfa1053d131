/**
 * Puts pictures on a stream. A terminal is redrawn in place; anything else gets a line now and then.
 *
 * States: nothing drawn (`#drawn` 0, the cursor is visible); drawn (the cursor is hidden and stands below `#drawn`
 * lines that are ours). `end` leads back to the first and leaves the last picture standing.
 */
import type { WriteStream } from 'node:tty';
import { layOut, oneLine } from './frame.ts';
import { render } from './ink.ts';
import type { View } from './view.ts';

export interface Screen {
  /** How often a picture is worth making. */
  readonly everyMs: number;
  draw(view: View): void;
  /** Leaves the last picture standing; drawing may begin again below it. */
  end(): void;
}

/** What a stream must tell; process.stderr does. */
export type Output = Pick<WriteStream, 'write'> &
  Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;

const REDRAW_MS = 200;
const LINE_MS = 2_000;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_LINE = '\u001b[2K';
const up = (lines: number): string => (lines > 0 ? `\u001b[${lines}A\r` : '');

export function createScreen(output: Output, env: NodeJS.ProcessEnv): Screen {
  const isDumb = env.TERM === 'dumb';
  return output.isTTY && !isDumb ? new Terminal(output, isColored(env)) : new Lines(output);
}

/** no-color.org: any value but the empty one turns colours off. */
export function isColored(env: NodeJS.ProcessEnv): boolean {
  return (env.NO_COLOR ?? '') === '';
}

class Terminal implements Screen {
  readonly everyMs = REDRAW_MS;
  readonly #output: Output;
  readonly #isColored: boolean;
  #drawn = 0;
  readonly #showCursor = (): void => {
    this.#output.write(SHOW_CURSOR);
  };

  constructor(output: Output, colored: boolean) {
    this.#output = output;
    this.#isColored = colored;
  }

  draw(view: View): void {
    const columns = this.#output.columns ?? 80;
    // The last row stays free for the cursor: a picture that scrolls could not be drawn over.
    const lines = layOut(view, columns).slice(0, Math.max(1, (this.#output.rows ?? 24) - 1));
    const text = lines
      .map((line) => `${CLEAR_LINE}${render(line, columns - 1, this.#isColored)}\n`)
      .join('');
    if (this.#drawn === 0) process.once('exit', this.#showCursor);
    // In one write, so that no half picture is seen.
    this.#output.write(`${HIDE_CURSOR}${up(this.#drawn)}${text}`);
    this.#drawn = lines.length;
  }

  end(): void {
    if (this.#drawn === 0) return;
    this.#drawn = 0;
    process.off('exit', this.#showCursor);
    this.#showCursor();
  }
}

class Lines implements Screen {
  readonly everyMs = LINE_MS;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  draw(view: View): void {
    this.#output.write(`${oneLine(view)}\n`);
  }

  end(): void {
    // Each line stands by itself.
  }
}
