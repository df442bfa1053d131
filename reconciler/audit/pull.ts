/** Takes rows one after another out of pieces. */
export class Pull<Row> {
  readonly #pieces: AsyncGenerator<Row[]>;
  #piece: Row[] = [];
  #at = 0;
  #done = false;

  constructor(pieces: AsyncGenerator<Row[]>) {
    this.#pieces = pieces;
  }

  async peek(): Promise<Row | undefined> {
    while (this.#at >= this.#piece.length && !this.#done) {
      const next = await this.#pieces.next();
      this.#done = next.done === true;
      this.#piece = next.done === true ? [] : next.value;
      this.#at = 0;
    }
    return this.#piece[this.#at];
  }

  take(): void {
    this.#at += 1;
  }

  /** The rows ahead, without taking them, for as long as `isWanted`. */
  async peekWhile(isWanted: (row: Row) => boolean): Promise<Row[]> {
    const wanted: Row[] = [];
    await this.peek();
    for (let at = this.#at; ; at += 1) {
      if (at >= this.#piece.length && !(await this.#more())) return wanted;
      const row = this.#piece[at];
      if (row === undefined || !isWanted(row)) return wanted;
      wanted.push(row);
    }
  }

  /** Appends the next piece to this one; false at the end. */
  async #more(): Promise<boolean> {
    const next = await this.#pieces.next();
    this.#done = next.done === true;
    if (next.done !== true) this.#piece = [...this.#piece, ...next.value];
    return next.done !== true;
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }
}
