/** A report as files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchReport } from '../run.ts';
import { renderHtml } from './html.ts';
import { plotsOf } from './plots.ts';
import { standaloneSvg } from './svg.ts';

export interface ReportFiles {
  readonly json?: string;
  /** One page that needs nothing else. */
  readonly html?: string;
  /** A directory, made when it is not there: a file for each plot. */
  readonly svg?: string;
}

export async function writeReport(
  report: BenchReport,
  { json, html, svg }: ReportFiles,
): Promise<void> {
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html !== undefined) await writeFile(html, renderHtml(report));
  if (svg === undefined) return;
  await mkdir(svg, { recursive: true });
  for (const plot of report.scenarios.flatMap(plotsOf)) {
    await writeFile(join(svg, `${plot.name}.svg`), standaloneSvg(plot));
  }
}
