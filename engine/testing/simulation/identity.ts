/**
 * Tells worlds apart. Every value gets a number by its content, and objects keep theirs, because
 * nothing that a world holds ever changes: a world's identity costs what is new in it. What is kept of
 * a world is 128 bits.
 */
import { createHash } from 'node:crypto';
import type { World } from './world.ts';

export class Identities {
  readonly #byContent = new Map<string, number>();
  readonly #byObject = new WeakMap<object, number>();

  /**
   * Two worlds with one identity go on alike. Left out is what never changes, what only numbers
   * entries (numbering.ts), and the order of what has none: messages in flight, and facts of
   * different clients.
   */
  of(world: World): string {
    const { config: _, plans: __, fresh: ___, messages, facts, ...rest } = world;
    const unordered = (list: readonly object[]): string =>
      list
        .map((each) => this.#number(each))
        .sort()
        .join();
    const parts = [unordered(messages), unordered(facts)];
    for (const value of Object.values(rest)) {
      // The world's own lists are changed in place, so they are read anew each time.
      if (Array.isArray(value)) parts.push(value.map((each) => this.#number(each)).join());
      else parts.push(this.#number(value));
    }
    return createHash('md5').update(parts.join(';')).digest('base64');
  }

  #number(value: unknown): string {
    if (typeof value !== 'object' || value === null) return String(value);
    const known = this.#byObject.get(value);
    if (known !== undefined) return `#${known}`;
    const content = this.#content(value);
    const number = this.#byContent.get(content) ?? this.#byContent.size + 1;
    this.#byContent.set(content, number);
    this.#byObject.set(value, number);
    return `#${number}`;
  }

  #content(value: object): string {
    if (Buffer.isBuffer(value)) return value.toString('latin1');
    if (Array.isArray(value)) return `[${value.map((each) => this.#number(each)).join()}]`;
    const names = Object.keys(value).sort();
    const fields = names.map((name) => `${name}:${this.#number(Reflect.get(value, name))}`);
    return `{${fields.join()}}`;
  }
}
