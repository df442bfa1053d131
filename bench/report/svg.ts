/** What every plot is drawn with: SVG that needs nothing else, readable on dark and on light. */

/** Of one plot, without the element around it. */
export interface Plot {
  /** Of a file: `hot-sku-latency`. */
  readonly name: string;
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

export const PLOT_WIDTH = 640;

/** Lines and text take the page's colour; areas have one of these in both schemes. */
export const PLOT_STYLE = `
  .plot { color: #1f2328; font: 12px system-ui, sans-serif; max-width: 100%; height: auto; }
  .plot text { fill: currentColor; font-variant-numeric: tabular-nums; }
  .plot .faint { opacity: .65; } .plot .title { font-weight: 600; }
  .plot .grid { stroke: currentColor; opacity: .15; } .plot .axis { stroke: currentColor; opacity: .5; }
  .plot .line { fill: none; stroke-width: 1.5; } .plot .c0 { fill: #3b82c4; stroke: #3b82c4; }
  @media (prefers-color-scheme: dark) { .plot { color: #e6e6e6; } }`;

/** In a page that has the style. */
export function inlineSvg(plot: Plot): string {
  return element(plot, '');
}

/** A file of its own, as a README shows it. */
export function standaloneSvg(plot: Plot): string {
  const style = `<style>${PLOT_STYLE}</style>`;
  return `${element({ ...plot, body: style + plot.body }, ' xmlns="http://www.w3.org/2000/svg"')}\n`;
}

function element({ title, width, height, body }: Plot, namespace: string): string {
  return `<svg class="plot" role="img" aria-label="${inXml(title)}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"${namespace}>${body}</svg>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and attributes, of HTML and of SVG. */
export function inXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

export interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly kind?: 'faint' | 'title';
}

export function text(x: number, y: number, words: string, options: TextOptions = {}): string {
  const { anchor = 'start', kind } = options;
  const kindOf = kind === undefined ? '' : ` class="${kind}"`;
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${kindOf}>${inXml(words)}</text>`;
}

/** `what` is shown where a pointer rests on it. */
export function bar(
  place: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  },
  colour: string,
  what: string,
): string {
  const { x, y, width, height } = place;
  return `<rect x="${at(x)}" y="${at(y)}" width="${at(Math.max(0, width))}" height="${at(height)}" fill="${colour}"><title>${inXml(what)}</title></rect>`;
}

export function line(
  from: readonly [number, number],
  to: readonly [number, number],
  kind: 'grid' | 'axis',
): string {
  return `<line x1="${at(from[0])}" y1="${at(from[1])}" x2="${at(to[0])}" y2="${at(to[1])}" class="${kind}"/>`;
}

export function path(points: readonly (readonly [number, number])[]): string {
  const steps = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${at(x)} ${at(y)}`);
  return `<path d="${steps.join('')}" class="line c0" style="fill:none"/>`;
}

/** A tenth of a pixel is as good as a hundredth, and shorter. */
export function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Round values from 0 to `max` or a little above. */
export function linearTicks(max: number, wanted = 4): number[] {
  if (!(max > 0)) return [0, 1];
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

/** The powers of ten around a range of positive values. */
export function decades(min: number, max: number): number[] {
  const low = Math.floor(Math.log10(min));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max)));
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}

const SHORT = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** As people read it: `12,300`, `0.25`. */
export function short(value: number): string {
  return Number.isFinite(value) ? SHORT.format(value) : '-';
}
