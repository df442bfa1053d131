/** How far a copy of many rows is, told about once a second. */

/** As it is kept in `recoveries.progress`. */
export interface CopyProgress {
  readonly rows: number;
  /** Undefined: not counted yet, or not worth counting. */
  readonly total?: number;
  readonly rows_per_s: number;
  readonly eta_s?: number;
}

const EVERY_MS = 1_000;

export class ProgressMeter {
  readonly #tell: (progress: CopyProgress) => void;
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  #toldMs: number;
  #total: number | undefined;

  constructor(
    tell: (progress: CopyProgress) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#tell = tell;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
    this.#toldMs = this.#beganMs;
  }

  /** Comes when it has been counted, which happens beside the copy. */
  expect(total: number): void {
    this.#total = total;
  }

  /** `rows` are there by now. */
  at(rows: number): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#toldMs < EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#tell(progressOf(rows, this.#total, nowMs - this.#beganMs));
  }
}

export function progressOf(rows: number, total: number | undefined, ms: number): CopyProgress {
  const perMs = rows / ms;
  const left = total === undefined ? undefined : Math.max(0, total - rows);
  return {
    rows,
    ...(total !== undefined && { total: Math.max(total, rows) }),
    rows_per_s: Math.round(perMs * 1_000),
    ...(left !== undefined && perMs > 0 && { eta_s: Math.round(left / perMs / 1_000) }),
  };
}

/** For logs: `420,000 of 1,200,000 rows (35 %), 81,000/s, 10 s to go`. */
export function showProgress({ rows, total, rows_per_s, eta_s }: CopyProgress): string {
  const number = (n: number) => n.toLocaleString('en-US');
  const of =
    total === undefined
      ? ' rows'
      : ` of ${number(total)} rows (${Math.floor((100 * rows) / total)} %)`;
  const left = eta_s === undefined ? '' : `, ${eta_s} s to go`;
  return `${number(rows)}${of}, ${number(rows_per_s)}/s${left}`;
}
