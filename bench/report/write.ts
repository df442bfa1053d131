/** A report as files. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BenchReport } from '../run.ts';
import { renderHtml } from './html.ts';
import { plotsOf } from './plots.ts';
import { standaloneSvg } from './svg.ts';

/** Directories are made where there are none. */
export interface ReportFiles {
  readonly json?: string;
  /** One page that needs nothing else. */
  readonly html?: string;
  /** A directory: a file for each plot. */
  readonly svg?: string;
  /** A directory for all three, as it is committed. */
  readonly report?: string;
}

export async function writeReport(
  report: BenchReport,
  { json, html, svg, report: directory }: ReportFiles,
): Promise<void> {
  if (json !== undefined) await write(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html !== undefined) await write(html, renderHtml(report));
  if (svg !== undefined) await writePlots(report, svg);
  if (directory === undefined) return;
  // A line for each scenario: small, and what changed between two commits can be seen.
  await write(join(directory, 'report.json'), jsonInLines(report));
  await write(join(directory, 'report.html'), renderHtml(report));
  const plots = join(directory, 'plots');
  // None shall stay that this run has not drawn.
  await rm(plots, { recursive: true, force: true });
  await writePlots(report, plots);
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function writePlots(report: BenchReport, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const plot of report.scenarios.flatMap(plotsOf)) {
    await writeFile(join(directory, `${plot.name}.svg`), standaloneSvg(plot));
  }
}

function jsonInLines({ scenarios, ...head }: BenchReport): string {
  const lines = scenarios.map((each) => JSON.stringify(each)).join(',\n');
  return `${JSON.stringify(head).slice(0, -1)},"scenarios":[\n${lines}\n]}\n`;
}
