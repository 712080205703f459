/** Series of the last hour as lines. The newest value is at the right edge; where there were no samples yet there is no line. */
import { el, svg } from './dom.ts';

export interface Series {
  /** The oldest first. */
  readonly values: readonly number[];
  /** Of a whole hour. */
  readonly slots: number;
  /** The scale ends here at least. */
  readonly least: number;
}

const WIDTH = 240;
const HEIGHT = 60;

/** A line without words: what is next to it has the newest value. */
export function sparkline(series: Series, tone: string): SVGElement {
  return drawing(series, `spark ${tone}`, { 'aria-hidden': 'true' });
}

export interface ChartText {
  readonly title: string;
  readonly format: (value: number) => string;
}

/** A chart with its scale, and its content in words. */
export function chart(series: Series, tone: string, { title, format }: ChartText): HTMLElement {
  const { values } = series;
  const now = values.at(-1);
  const text =
    now === undefined
      ? 'no samples yet'
      : `now ${format(now)}, from ${format(Math.min(...values))} to ${format(Math.max(...values))} in ${minutes(series)}`;
  return el(
    'figure',
    { class: 'chart' },
    el('figcaption', {}, el('strong', {}, title), el('span', { class: 'muted' }, text)),
    el(
      'div',
      { class: 'plot' },
      drawing(series, tone, { role: 'img', 'aria-label': `${title}: ${text}` }),
      el('span', { class: 'top-label', 'aria-hidden': 'true' }, format(ceiling(series))),
    ),
    el('p', { class: 'axis', 'aria-hidden': 'true' }, el('span', {}, '1 h ago'), el('span', {}, '30 min'), el('span', {}, 'now')),
  );
}

function minutes({ values, slots }: Series): string {
  const shown = Math.max(1, Math.round((values.length / slots) * 60));
  return shown >= 60 ? 'the last hour' : `the last ${shown} min`;
}

function ceiling({ values, least }: Series): number {
  return Math.max(least, ...values);
}

function drawing(series: Series, tone: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const { values, slots } = series;
  const top = ceiling(series);
  const x = (index: number) => WIDTH - ((values.length - 1 - index) / (slots - 1)) * WIDTH;
  const y = (value: number) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const points = values.map((value, index) => `${x(index).toFixed(1)} ${y(value).toFixed(1)}`);
  // A single sample is a short line.
  if (points.length === 1) points.unshift(`${WIDTH - 3} ${y(values[0] ?? 0).toFixed(1)}`);
  const line = `M${points.join('L')}`;
  const first = points[0]?.split(' ')[0];
  const parts =
    points.length === 0
      ? []
      : [svg('path', { class: 'area', d: `${line}V${HEIGHT}H${first}z` }), svg('path', { class: 'line', d: line })];
  const view = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', class: `drawing ${tone}`, focusable: 'false' };
  return svg('svg', { ...view, ...attributes }, svg('path', { class: 'base', d: `M0 ${HEIGHT - 1}H${WIDTH}` }), ...parts);
}
