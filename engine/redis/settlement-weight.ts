/**
 * How many cells a settlement changes: only the script knows what a hold has, so what it said of the
 * last ones is expected of the next. Where that is wrong, the script decides no more than it has room
 * for (lua/includes/settle.lua).
 */
export class SettlementWeight {
  #mean = 1;

  /** Cells, at least one. */
  get cells(): number {
    return Math.max(1, Math.ceil(this.#mean));
  }

  /** `decided`: the operations that the script had room for. */
  learn(cellsChanged: number, decided: number): void {
    if (decided > 0) this.#mean += (cellsChanged / decided - this.#mean) / BATCHES;
  }
}

/** Over which a change is learnt: one batch of great carts is soon forgotten. */
const BATCHES = 8;
