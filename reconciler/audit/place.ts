/** Places in a lane's log, as the audit compares them: by epoch, then by seq. */
export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

/** True when `a` stands at or before `b`. */
export function reaches(b: Place, a: Place): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.seq <= b.seq);
}

export function isSamePlace(a: Place, b: Place): boolean {
  return a.epoch === b.epoch && a.seq === b.seq;
}

export function showPlace({ epoch, seq }: Place): string {
  return `${epoch}-${seq}`;
}
