/**
 * Plots: what is measured is by d3's scales and shapes; shapes stretch with the page, and words are HTML beside them, so
 * that both stay sharp at every width. Each has a title and a description that tell the figures that matter.
 */
import { max, min, sum } from 'd3-array';
import { scaleBand, scaleLinear } from 'd3-scale';
import { area, line, stack } from 'd3-shape';

import { html, type Markup } from '../html.ts';
import { count } from './numbers.ts';

const width = 300;
const height = 100;

export interface Series {
  readonly name: string;
  /** A class that fills it: see the stylesheet. */
  readonly fill: string;
  readonly values: readonly number[];
}

export interface ColumnsContent {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** From below. */
  readonly series: readonly Series[];
  /** Below each column; an empty text leaves it out. */
  readonly labels: readonly string[];
  /** Columns that others are compared with. */
  readonly marked?: number;
  /** A second count for each column, as an outline. */
  readonly outline?: readonly number[];
}

/** Stacked columns. */
export function columnsPlot(content: ColumnsContent): Markup {
  const { id, title, description, series, labels, marked, outline = [] } = content;
  const columns = labels.map((_, index) => index);
  const stacked = stack<number, number>()
    .keys(series.map((_, index) => index))
    .value((column, key) => series[key]?.values[column] ?? 0)(columns);
  const highest = max([...stacked.flat().map(([, top]) => top ?? 0), ...outline, 1]) ?? 1;
  const y = scaleLinear([0, highest], [height, 0]).nice(4);
  const x = scaleBand(columns, [0, width]).paddingInner(0.2).paddingOuter(0.1);
  const ticks = wholeTicks(y.ticks(4));
  const bars = stacked.map((layer, index) =>
    layer.map(([from, to], column) =>
      to > from
        ? html`<rect class="${series[index]?.fill}" x="${round(x(column) ?? 0)}" y="${round(y(to))}" width="${round(x.bandwidth())}" height="${round(y(from) - y(to))}"/>`
        : '',
    ),
  );
  const steps = outline.map((value, column) => {
    const left = (x(column) ?? 0) - (x.step() - x.bandwidth()) / 2;
    return `${column === 0 ? 'M' : 'L'}${round(left)} ${round(y(value))}H${round(left + x.step())}`;
  });
  return html`<div class="plot-box">${axis(ticks, y)}<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-labelledby="${id}-t ${id}-d"><title id="${id}-t">${title}</title><desc id="${id}-d">${description}</desc>${ticks.map((tick) => html`<line class="${tick === 0 ? 'axis' : 'grid'}" x1="0" x2="${width}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>`)}${bars}${marked === undefined ? '' : html`<line class="then" x1="${round((x(marked) ?? 0) + x.bandwidth() / 2)}" x2="${round((x(marked) ?? 0) + x.bandwidth() / 2)}" y1="0" y2="${height}"/>`}${outline.length > 0 ? html`<path class="outline" d="${steps.join('')}"/>` : ''}</svg><div class="x" aria-hidden="true">${labels.map((label) => html`<span>${label}</span>`)}</div></div>`;
}

/** A line without words, with a scale of its own that leaves noise flat: its range is 4 at least, and a fifth of the most. */
export function sparkline(values: readonly number[], name: string): Markup {
  if (values.length < 2) {
    return html`<span class="dim">–</span>`;
  }
  const highest = max(values) ?? 0;
  const lowest = min(values) ?? 0;
  const range = Math.max(highest - lowest, 4, highest * 0.2);
  const from = Math.max(0, (highest + lowest - range) / 2);
  const y = scaleLinear([from, from + range], [22, 2]);
  const x = scaleLinear([0, values.length - 1], [0, 100]);
  const at = (_: number, index: number) => x(index);
  const path = line<number>(at, (value) => y(value)).digits(1)(values);
  const fill = area<number>(at, 23, (value) => y(value)).digits(1)(values);
  const first = count(values[0] ?? 0);
  const last = count(values.at(-1) ?? 0);
  return html`<svg class="spark" viewBox="0 0 100 24" role="img" aria-label="${name}, ${values.length} runs: from ${first} to ${last}, ${count(highest)} at most"><path class="fill" d="${fill}"/><path d="${path}"/><circle cx="100" cy="${round(y(values.at(-1) ?? 0))}" r="2.2"/></svg>`;
}

export interface Part {
  readonly name: string;
  readonly fill: string;
  readonly value: number;
}

/** Shares of a whole as one bar; what is there is seen, however small. */
export function splitBar(parts: readonly Part[], name: string): Markup {
  const there = parts.filter(({ value }) => value > 0);
  const whole = sum(there, ({ value }) => value);
  const least = 6;
  const x = scaleLinear([0, Math.max(1, whole)], [0, 1_000 - least * there.length]);
  let left = 0;
  const bars = there.map(({ fill, value }) => {
    const wide = x(value) + least;
    const bar = html`<rect class="${fill}" x="${round(left)}" width="${round(wide)}" height="10"/>`;
    left += wide;
    return bar;
  });
  const text = there.map((part) => `${count(part.value)} ${part.name}`).join(', ');
  return html`<svg class="split" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="${name}: ${text === '' ? 'none' : text}">${bars}</svg>`;
}

export function legend(items: readonly (readonly [fill: string, text: string])[]): Markup {
  return html`<ul class="legend">${items.map(
    ([fill, text]) =>
      html`<li><svg viewBox="0 0 14 14" aria-hidden="true">${
        fill === 'then'
          ? html`<line class="then" x1="7" x2="7" y1="0" y2="14"/>`
          : fill === 'outline'
            ? html`<path class="outline" d="M0 7H14"/>`
            : html`<rect class="${fill}" width="14" height="14" rx="2"/>`
      }</svg>${text}</li>`,
  )}</ul>`;
}

function axis(ticks: readonly number[], y: (value: number) => number): Markup {
  const top = max(ticks) ?? 0;
  // The axis is as high as its highest tick: from there to the ground its words are spread evenly.
  return y(top) > 1
    ? html`<div class="y" aria-hidden="true"><span></span><span>0</span></div>`
    : html`<div class="y" aria-hidden="true">${[...ticks].reverse().map((tick) => html`<span>${count(tick)}</span>`)}</div>`;
}

/** Counts have no fractions. */
function wholeTicks(ticks: readonly number[]): number[] {
  return ticks.filter(Number.isInteger);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
