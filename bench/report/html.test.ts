/** The page and the plots: whole, safe, and in need of nothing else. */
import { describe, expect, it } from 'vitest';
import type { BenchReport } from '../run.ts';
import { renderHtml } from './html.ts';
import { plotsOf } from './plots.ts';
import { sampleLoad, samplePhase, sampleReport, sampleScenario } from './sample.ts';
import { decades, linearTicks, standaloneSvg } from './svg.ts';

const VOID = new Set(['meta']);
const EVIL = `<script>alert("1")</script>&'`;

/** Throws unless every element is closed in order, and every attribute quoted. */
function parse(markup: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  const text = markup.replace(/^<!doctype html>\n/, '').replace(/<style>[^<]*<\/style>/g, '');
  const tags = /<(\/?)([a-z0-9]+)((?: [a-zA-Z0-9:-]+="[^"<>]*")*)(\/?)>/g;
  const left = text.replace(tags, (_, slash: string, name: string, __, empty: string) => {
    seen.push(name);
    if (slash === '/') expect(open.pop()).toBe(name);
    else if (empty === '' && !VOID.has(name)) open.push(name);
    return '';
  });
  expect(open).toEqual([]);
  expect(left).not.toMatch(/[<>]/);
  // Whatever is left of an ampersand is an entity.
  expect(left.replace(/&(?:amp|lt|gt|quot|#39);/g, '')).not.toContain('&');
  return seen;
}

const evil = (): BenchReport =>
  sampleReport({
    seed: EVIL,
    scenarios: [
      sampleScenario({
        name: EVIL,
        phases: [samplePhase({ name: EVIL })],
        facts: [{ what: EVIL, value: 1, unit: EVIL }],
        series: [
          {
            name: EVIL,
            unit: EVIL,
            points: [
              [0, 1],
              [1, 2],
            ],
          },
        ],
        audit: { ok: false, words: [EVIL] },
        tables: [{ title: EVIL, head: [EVIL], rows: [[EVIL]] }],
      }),
    ],
    verdict: 'audit_failed',
  });

describe('the page of a run', () => {
  it('is well formed, with a plot of each kind', () => {
    const seen = parse(renderHtml(sampleReport()));
    // Throughput, latency, CPU, two of batches, a series, and two courses.
    expect(seen.filter((name) => name === 'svg').length / 2).toBe(8);
  });

  it('says what of the cores the host gave to others', () => {
    expect(renderHtml(sampleReport())).toContain('<td>13 %</td>');
  });

  it('says how fast a core was, where that is known', () => {
    const core = { multiply_ns: 1.13, load_8mb_ns: 45.33, load_64mb_ns: 172.07 };
    const html = renderHtml(sampleReport({ scenarios: [sampleScenario({ core })] }));
    expect(html).toContain('from 64 MB 172.07 ns');
    expect(renderHtml(sampleReport())).not.toContain('from 64 MB');
    expect(renderHtml(sampleReport())).toContain('<td>45 ns</td>');
  });

  it('needs nothing from elsewhere', () => {
    const html = renderHtml(sampleReport());
    expect(html).not.toMatch(/https?:|\/\/[a-z]|url\(|@import|<script|<link|<img|src=/i);
    const targets = [...html.matchAll(/href="([^"]*)"/g)].map(([, target]) => target);
    expect(targets).toEqual(['#hot-sku']);
  });

  it('says text as text, wherever it comes from', () => {
    const html = renderHtml(evil());
    expect(parse(html)).not.toContain('script');
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;');
  });

  it('shows the verdict, the conditions and what was found', () => {
    const html = renderHtml(sampleReport());
    for (const words of [
      'A &lt;fast&gt; CPU',
      'seed holdfast',
      'persister alone',
      '60000 answers',
      '<td>0.80 of a bare COPY and merge of its rows, 50000 /s (design 0.59: met)</td>',
    ]) {
      expect(html).toContain(words);
    }
    expect(html).toContain('Every audit passed, and no threshold was missed');
    expect(renderHtml(evil())).toContain('An audit FAILED');
  });

  it('reads on dark and on light', () => {
    expect(renderHtml(sampleReport())).toContain('prefers-color-scheme: dark');
  });
});

describe('plots', () => {
  it('are files of their own, each with another name', () => {
    const plots = plotsOf(sampleScenario());
    expect(new Set(plots.map(({ name }) => name)).size).toBe(plots.length);
    for (const plot of plots) {
      const svg = standaloneSvg(plot);
      parse(svg);
      expect(svg).toContain('xmlns="http://www.w3.org/2000/svg"');
      expect(svg).toContain('prefers-color-scheme: dark');
      expect(plot.name).toMatch(/^[a-z0-9-]+$/);
    }
  });

  it('never draw what is no number', () => {
    const nothing = { ...sampleLoad({ p50Ms: 0, maxMs: 0 }), answers: 0, seconds: 1 };
    const phases = [samplePhase(), samplePhase({ name: 'nothing', load: nothing })];
    const unknown = [{ name: 'engine' as const, cpuUs: Number.NaN, rssBytes: Number.NaN }];
    const silent = [samplePhase({ processes: unknown })];
    const flat = [{ name: 'flat', unit: '', points: [[0, 0] as const] }];
    for (const report of [
      sampleScenario({ phases, series: flat }),
      sampleScenario({ phases: silent, series: [{ name: 'none', unit: '', points: [] }] }),
      sampleScenario({ phases: [] }),
    ]) {
      for (const { body } of plotsOf(report)) expect(body).not.toMatch(/NaN|Infinity/);
    }
  });

  it('name a phase of which nobody took latencies, and draw none', () => {
    const summed = sampleLoad({ p50Ms: 0, p90Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 });
    const phases = [samplePhase(), samplePhase({ name: 'summed', load: summed })];
    const plot = plotsOf(sampleScenario({ phases })).find(({ name }) => name.endsWith('latency'));
    expect(plot?.body).toContain('summed');
    expect(plot?.body).not.toContain('p50 0');
  });

  it('stack CPU to the width of the dearest phase', () => {
    const plot = plotsOf(sampleScenario({ phases: [samplePhase()] })).find(({ name }) =>
      name.endsWith('cpu'),
    );
    const bars = [...(plot?.body.matchAll(/<rect x="[\d.]+" y="60" width="([\d.]+)"/g) ?? [])];
    const widths = bars.map(([, width]) => Number(width));
    expect(widths.length).toBe(4);
    // The page's 640, without the margins and the room for the number.
    expect(widths.reduce((sum, width) => sum + width, 0)).toBeCloseTo(526, 0);
    expect(plot?.body).toContain('engine 15 us');
    expect(plot?.body).toContain('redis 10 us');
  });

  it('have axes of round numbers', () => {
    expect(linearTicks(9)).toEqual([0, 5, 10]);
    expect(linearTicks(0)).toEqual([0, 1]);
    expect(linearTicks(1_000)).toEqual([0, 500, 1_000]);
    expect(decades(0.3, 31)).toEqual([0.1, 1, 10, 100]);
    expect(decades(1, 1)).toEqual([1, 10]);
  });
});
