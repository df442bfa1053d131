/** A report that an earlier run wrote as JSON. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { type BenchReport, REPORT_FORMAT } from '../run.ts';

/** The file holds no such report; the message says why. */
export class ReportError extends Error {
  override readonly name = 'ReportError';
}

/** JSON has no NaN: what the system did not tell is null there. */
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

/** What a comparison reads; the rest is kept as it is. */
const REPORT = z.looseObject({
  format: z.literal(REPORT_FORMAT),
  environment: z.looseObject({
    at: z.string(),
    commit: z.string(),
    node: z.string(),
    is_quiet: z.boolean(),
    load_average: z.number(),
  }),
  quick: z.boolean(),
  seed: z.string(),
  verdict: z.enum(['ok', 'audit_failed', 'threshold_missed', 'interrupted']),
  scenarios: z.array(
    z.looseObject({
      name: z.string(),
      audit: z.looseObject({ ok: z.boolean() }),
      facts: z.array(
        z.looseObject({
          what: z.string(),
          value: number,
          unit: z.string(),
          better: z.enum(['lower', 'higher']).optional(),
        }),
      ),
      phases: z.array(
        z.looseObject({
          name: z.string(),
          redisThreadUs: number,
          load: z.looseObject({
            answers: z.number(),
            seconds: z.number(),
            latency: z.looseObject({
              count: z.number(),
              p50Ms: z.number(),
              p99Ms: z.number(),
              p999Ms: z.number(),
              maxMs: z.number(),
            }),
          }),
          processes: z.array(z.looseObject({ name: z.string(), cpuUs: number, rssBytes: number })),
        }),
      ),
    }),
  ),
});

/** Throws ReportError when there is none, or one that this release does not read. */
export async function readReport(path: string): Promise<BenchReport> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ReportError(error instanceof Error ? error.message : String(error));
  }
  return parseReport(path, text);
}

export function parseReport(path: string, text: string): BenchReport {
  const said = REPORT.safeParse(parseJson(path, text));
  if (!said.success) {
    const [issue] = said.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw new ReportError(
      `${path} is no report of this bench (${REPORT_FORMAT}): ${where === '' ? '' : `${where}: `}${issue?.message ?? ''}`,
    );
  }
  // Looser than the type where nothing looks.
  return said.data as unknown as BenchReport;
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ReportError(`${path} is no JSON`);
  }
}
