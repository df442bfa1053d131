/**
 * Which of several hosts is the primary? Pure: what the hosts said goes in, one of them or the
 * reasons against each come out.
 */

/** What a host said of itself when it was asked last. */
export type HostState =
  /** `timeline` rises with every promotion; 0 where this role may not see it (timeline.ts). */
  | { readonly kind: 'writable'; readonly timeline: number }
  | { readonly kind: 'standby' }
  | { readonly kind: 'read_only' }
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface HostReport {
  /** As DATABASE_URL spells it. */
  readonly name: string;
  readonly state: HostState;
}

/**
 * The writable host of the newest timeline, and none of a timeline older than `newest`, the newest
 * that was ever seen. Because: a primary that was replaced while it hung, or was cut off, takes
 * writes again when it comes back, and whoever follows it works on a registry that has gone back.
 * Of two on one timeline, which no promotion makes, the first of the URL.
 */
export function choosePrimary(reports: readonly HostReport[], newest: number): Primary | undefined {
  let best: Primary | undefined;
  for (const { name, state } of reports) {
    if (state.kind !== 'writable' || state.timeline < (best?.timeline ?? newest)) continue;
    if (best === undefined || state.timeline > best.timeline) {
      best = { name, timeline: state.timeline };
    }
  }
  return best;
}

export interface Primary {
  readonly name: string;
  readonly timeline: number;
}

/** No host takes writes; the message says of each why. */
export class NoPrimaryError extends Error {
  override readonly name = 'NoPrimaryError';
  readonly reports: readonly HostReport[];

  constructor(reports: readonly HostReport[], newest: number) {
    const said = reports.map(({ name, state }) => `${name} ${describe(state, newest)}`);
    super(
      `no host of DATABASE_URL takes writes: ${said.join('; ')}. ` +
        'Start the primary, or promote a standby; this is tried again by itself.',
    );
    this.reports = reports;
  }
}

function describe(state: HostState, newest: number): string {
  switch (state.kind) {
    case 'writable':
      return `writes on timeline ${state.timeline}, but ${newest} was seen: it was replaced by a promotion and must be stopped`;
    case 'standby':
      return 'is a standby';
    case 'read_only':
      return 'is read-only (default_transaction_read_only)';
    case 'unreachable':
      return `cannot be reached (${state.reason})`;
  }
}
