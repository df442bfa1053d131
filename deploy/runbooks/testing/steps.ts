/**
 * Reads a runbook as what a test can do: commands, what they should show, and what happens in between.
 *
 * A page is told how to be run by comments, which a reader does not see:
 *   <!-- world: sentinel kafka pair -->  once: which servers it needs (world.ts)
 *   <!-- do: kill the primary -->        the world does this here: the fault, or what a deployment does
 *                                        in its own way (stopping processes)
 *   <!-- until -->                       the next command is repeated until it shows what it should
 *   <!-- exit: 1 -->                     the next command exits with that
 * A block of `sh` is a command; a block of `text` right behind it is what it should show: each of its
 * lines, in order, in the command's output, where any number stands for any other and `...` for
 * anything. A step of a page that is only for people carries no block.
 */

export type Step =
  | { readonly kind: 'do'; readonly line: number; readonly action: string }
  | {
      readonly kind: 'run';
      readonly line: number;
      readonly command: string;
      readonly shows: readonly string[];
      readonly exit: number;
      readonly isRepeated: boolean;
    };

export interface Runbook {
  readonly world: readonly string[];
  readonly steps: readonly Step[];
}

const COMMENT = /^<!-- (world|do|until|exit)(?:: (.+?))? -->$/;
const FENCE = /^```(\w*)$/;

/** Throws with the line when the page is not in the form above. */
export function readRunbook(text: string): Runbook {
  const lines = text.split('\n');
  const world: string[] = [];
  const steps: Step[] = [];
  let exit = 0;
  let isRepeated = false;
  for (let at = 0; at < lines.length; at++) {
    const [, word, value = ''] = COMMENT.exec(lines[at] ?? '') ?? [];
    if (word === 'world') world.push(...value.split(' '));
    if (word === 'do') steps.push({ kind: 'do', line: at + 1, action: value });
    if (word === 'exit') exit = Number(value);
    if (word === 'until') isRepeated = true;
    const language = FENCE.exec(lines[at] ?? '')?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`line ${at + 1}: the block does not end`);
    const body = lines.slice(at + 1, end);
    if (language === 'sh') {
      const command = body.join('\n');
      steps.push({ kind: 'run', line: at + 1, command, shows: [], exit, isRepeated });
      exit = 0;
      isRepeated = false;
    } else if (language === 'text') {
      const last = steps.at(-1);
      if (last?.kind !== 'run' || last.shows.length > 0) {
        throw new Error(`line ${at + 1}: this text stands behind no command`);
      }
      steps[steps.length - 1] = { ...last, shows: body.filter((line) => line.trim() !== '') };
    } else throw new Error(`line ${at + 1}: a block is sh or text, not ${language || 'unnamed'}`);
    at = end;
  }
  return { world, steps };
}

/** The first line that the output lacks, or undefined when it shows all of them in their order. */
export function missingLine(output: string, shows: readonly string[]): string | undefined {
  const lines = output.split('\n');
  let from = 0;
  for (const wanted of shows) {
    const shape = shapeOf(wanted);
    const found = lines.findIndex((line, i) => i >= from && shape.test(line));
    if (found < 0) return wanted;
    from = found + 1;
  }
  return undefined;
}

/** Ids and digests, then numbers, stand for any other of their kind; spaces for any number of them. */
const HEX_ID = /\b(?:hf_)?[0-9a-f]{16,40}\b/;
const NUMBER = /\d+(?:[.,]\d+)*/;
const PARTS = new RegExp(`(\\.{3}|${HEX_ID.source}|${NUMBER.source}|\\s+)`);

function shapeOf(wanted: string): RegExp {
  const pattern = wanted
    .trim()
    .split(PARTS)
    .map((part) => {
      if (part === '...') return '.*';
      if (new RegExp(`^${HEX_ID.source}$`).test(part)) return '[0-9a-z_]+';
      if (/^\d/.test(part)) return NUMBER.source;
      if (/^\s+$/.test(part)) return '\\s+';
      return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^\\s*${pattern}\\s*$`);
}
