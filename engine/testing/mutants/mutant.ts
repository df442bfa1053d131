/** A planted bug: a small change of the sources that some test must catch. */

/** Text that stands exactly once in the file, and what takes its place. */
export interface Edit {
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** What it breaks, for the reader of the table. */
  readonly breaks: string;
  /** From the top of the checkout. */
  readonly file: string;
  readonly edits: readonly Edit[];
  /** The test files that should catch it, from the top of the checkout. */
  readonly tests: readonly string[];
}

/** The table of mutants no longer fits the sources; the message says which row and how. */
export class MutantError extends Error {
  override readonly name = 'MutantError';
}

/** The source with the bug in it; throws MutantError unless each edit fits exactly once. */
export function plant(mutant: Mutant, source: string): string {
  return mutant.edits.reduce((text, { find, replace }) => {
    const times = text.split(find).length - 1;
    if (times !== 1 || find === '') {
      throw new MutantError(
        `${mutant.name}: its text stands ${times} times in ${mutant.file}, wanted once; ` +
          `bring engine/testing/mutants up to date with the file:\n${find}`,
      );
    }
    if (find === replace) throw new MutantError(`${mutant.name}: the edit changes nothing`);
    // A function, because `$` has a meaning in a replacement text.
    return text.replace(find, () => replace);
  }, source);
}
