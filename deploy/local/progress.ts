/** What the stack tells its caller while it downloads and starts. */
export type ProgressStep = 'install' | 'redis' | 'postgres' | 'kafka';

export interface Progress {
  readonly step: ProgressStep;
  /** `detail` is a passing line of what is being worked on: for a live display, not for a log. */
  readonly state: 'working' | 'detail' | 'done' | 'skipped' | 'failed';
  /** For a person: what is being done now, or what came out. */
  readonly detail: string;
}

export type OnProgress = (progress: Progress) => void;
