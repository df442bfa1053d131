/**
 * What a run of the tests says about a mutant. Only a failing assertion (or property) counts as a
 * catch: a helper that throws, a timeout or a runner that crashes may be an accident, and an
 * accident may not happen the next time.
 */

export interface FailedTest {
  /** From the top of the checkout. */
  readonly file: string;
  /** `describe > test`, or the file's own failure when no test ran. */
  readonly test: string;
  readonly message: string;
}

/** What is read of Vitest's JSON report. */
export interface TestReport {
  readonly testResults?: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

export type Verdict =
  | { readonly kind: 'caught'; readonly by: FailedTest }
  /** Every test passed. */
  | { readonly kind: 'survived' }
  /** Something failed, but no assertion did; or nothing could be judged. */
  | { readonly kind: 'unclear'; readonly why: string };

const ASSERTION = /^(AssertionError\b|Error: Property failed after \d+ tests)/;

/** @param root of the checkout in which the tests ran: file names are shown from there. */
export function judge(report: TestReport | undefined, root: string): Verdict {
  if (report === undefined) return { kind: 'unclear', why: 'the test runner left no report' };
  const failed = failures(report, root);
  const by = failed.find(({ message }) => ASSERTION.test(message));
  if (by !== undefined) return { kind: 'caught', by };
  const [other] = failed;
  if (other !== undefined) {
    const first = other.message.split('\n', 1)[0];
    return { kind: 'unclear', why: `${other.test} failed, but by no assertion: ${first}` };
  }
  if (passedTests(report) === 0) return { kind: 'unclear', why: 'no test ran' };
  return { kind: 'survived' };
}

export function failures(report: TestReport, root: string): FailedTest[] {
  return (report.testResults ?? []).flatMap((file) => {
    const name = file.name.startsWith(`${root}/`) ? file.name.slice(root.length + 1) : file.name;
    const failed = file.assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => ({
        file: name,
        test: fullName,
        message: failureMessages?.[0] ?? '',
      }));
    if (failed.length > 0 || file.status !== 'failed') return failed;
    return [{ file: name, test: name, message: file.message ?? '' }];
  });
}

export function passedTests(report: TestReport): number {
  return (report.testResults ?? [])
    .flatMap((file) => file.assertionResults)
    .filter(({ status }) => status === 'passed').length;
}
