// Says where a text stops being JSON (RFC 8259). Runs only on texts that JSON.parse refused, so it is
// written to be read, not to be fast; a property test holds it to JSON.parse's verdict.

export interface JsonFault {
  /** In UTF-16 units from the start; the text's length when it ended too early. */
  readonly offset: number;
  /** Without the place and without a full stop. */
  readonly message: string;
}

export interface Position {
  /** Bytes of UTF-8 from the start, from 0. */
  readonly offset: number;
  readonly line: number;
  /** In code points, from 1. */
  readonly column: number;
}

/** The place of `offset` (in UTF-16 units) as a person and a program would look for it. */
export function locate(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return {
    offset: Buffer.byteLength(before),
    line: before.split('\n').length,
    column: codePoints(before.slice(lineStart)) + 1,
  };
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The first fault of a text, or undefined when it is JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  const scan = new Scan(text);
  try {
    scan.document();
  } catch (error) {
    if (error instanceof FaultFound) return error.fault;
    throw error;
  }
  return undefined;
}

class FaultFound extends Error {
  readonly fault: JsonFault;
  constructor(fault: JsonFault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** A recursive descent; the caller has bounded the depth. */
class Scan {
  // Sticky patterns keep their place in themselves, so each scan has its own.
  readonly #space = /[ \t\n\r]*/y;
  readonly #number = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
  readonly #escape = /\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value();
    if (this.#at < this.#text.length) this.#unexpected('the end of the body');
  }

  #value(): void {
    this.#take(this.#space);
    switch (this.#text.charAt(this.#at)) {
      case '{':
        this.#list('}', () => this.#member());
        break;
      case '[':
        this.#list(']', () => this.#value());
        break;
      case '"':
        this.#string();
        break;
      default:
        this.#scalar();
    }
    this.#take(this.#space);
  }

  #list(end: string, element: () => void): void {
    this.#at += 1;
    this.#take(this.#space);
    if (this.#text[this.#at] !== end) {
      element();
      while (this.#text[this.#at] === ',') {
        this.#at += 1;
        element();
      }
    }
    this.#expect(end, `',' or '${end}'`);
  }

  #member(): void {
    this.#take(this.#space);
    if (this.#text[this.#at] !== '"') this.#unexpected('a key in double quotes');
    this.#string();
    this.#take(this.#space);
    this.#expect(':', `':'`);
    this.#value();
  }

  #string(): void {
    this.#at += 1;
    this.#plain();
    while (this.#text[this.#at] === '\\') {
      if (!this.#take(this.#escape)) this.#fault('There is an invalid escape in a string');
      this.#plain();
    }
    this.#expect('"', 'the closing quote of a string, without raw control characters,');
  }

  /** Up to a quote, a backslash, or a control character, which may not stand in a string. */
  #plain(): void {
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      if (character === '"' || character === '\\' || character < ' ') return;
      this.#at += 1;
    }
  }

  #scalar(): void {
    const word = ['true', 'false', 'null'].find((each) => this.#text.startsWith(each, this.#at));
    if (word !== undefined) this.#at += word.length;
    else if (!this.#take(this.#number)) this.#unexpected('a JSON value');
  }

  #expect(character: string, what: string): void {
    if (this.#text[this.#at] !== character) this.#unexpected(what);
    this.#at += 1;
  }

  /** Whether the pattern matched here; then it has been consumed. */
  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const matched = pattern.test(this.#text);
    if (matched) this.#at = pattern.lastIndex;
    return matched;
  }

  #unexpected(wanted: string): never {
    const ended = this.#at >= this.#text.length;
    this.#fault(
      `${ended ? 'The body ends where' : 'Expected'} ${wanted}${ended ? ' was expected' : ''}`,
    );
  }

  #fault(message: string): never {
    throw new FaultFound({ offset: this.#at, message });
  }
}
