/** The parts that pages are made of. Looks are in `assets/fleet.css`, in the same order. */
import { html, type Markup } from '../html.ts';
import { type IconName, icon } from './icons.ts';
import { count, signed } from './numbers.ts';

export type Tone = 'critical' | 'warning' | 'good' | 'info';
export type Content = Markup | string | number | undefined | false | readonly (Markup | string)[];

/** The top of a page: its name, one line about it, and what can be done with it. */
export function pageHead(title: Content, line: Content, acts?: Content, crumbs?: Content): Markup {
  return html`<div class="head"><div>${crumbs === undefined ? '' : html`<p class="crumbs">${crumbs}</p>`}<h1>${title}</h1>${line === undefined ? '' : html`<p>${line}</p>`}</div>${acts === undefined ? '' : html`<div class="acts">${acts}</div>`}</div>`;
}

/** What is the matter, in a sentence, and what comes next. */
export function inShort(tone: Tone, sentence: Content, next?: Content, more?: Content): Markup {
  return html`<section class="in-short ${tone}" aria-label="In short"><p class="say">${icon(tone)}${sentence}</p>${next === undefined ? '' : html`<p><b>Next:</b> ${next}</p>`}${more}</section>`;
}

export interface Figure {
  readonly name: string;
  readonly value: Content;
  readonly more?: Content;
}

export function figures(list: readonly Figure[]): Markup {
  return html`<dl class="figures">${list.map(
    ({ name, value, more }) =>
      html`<div><dt>${name}</dt><dd class="value">${value}</dd>${more === undefined ? '' : html`<dd>${more}</dd>`}</div>`,
  )}</dl>`;
}

export function card(title: Content, line: Content, body: Content, className = ''): Markup {
  return html`<section class="card ${className}"><h2>${title}</h2>${line === undefined ? '' : html`<p>${line}</p>`}${body}</section>`;
}

export function facts(list: readonly (readonly [string, Content])[]): Markup {
  const shown = list.filter(([, value]) => value !== undefined && value !== '');
  return html`<dl class="facts">${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function tag(tone: Tone | '', text: string): Markup {
  return html`<span class="tag ${tone}">${tone === '' ? '' : icon(tone)}${text}</span>`;
}

export function notice(tone: Tone, body: Content): Markup {
  return html`<div class="notice ${tone}" role="note">${icon(tone)}<div>${body}</div></div>`;
}

export function empty(name: IconName, title: string, line: Content, more?: Content): Markup {
  return html`<section class="card empty">${icon(name)}<h2>${title}</h2><p>${line}</p>${more}</section>`;
}

/** Short ids never break; long ones break behind their separators. */
export function idText(text: string): Markup {
  if (text.length <= 26 && !/[/:]/.test(text)) {
    return html`<span class="id">${text}</span>`;
  }
  const parts = text.split(/(?<=[-/.:])/);
  return html`<span class="id long">${parts.map((part, index) => (index === 0 ? html`${part}` : html`<wbr>${part}`))}</span>`;
}

export function deviceLink(id: string): Markup {
  return html`<a href="${deviceAddress(id)}">${idText(id)}</a>`;
}

export function batchLink(id: string): Markup {
  return html`<a href="${batchAddress(id)}">${idText(id)}</a>`;
}

export function deviceAddress(id: string): string {
  return `/fleet/devices/${encodeURIComponent(id)}`;
}

export function batchAddress(id: string): string {
  return `/fleet/batches/${encodeURIComponent(id)}`;
}

/** An address with parameters; what is undefined or empty is left out. */
export function address(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(
      (pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '',
    ),
  ).toString();
  return query === '' ? path : `${path}?${query}`;
}

/** A number that leads to the rows that it counts; of none it is plain and dim. */
export function numberLink(value: number, href: string, name: string): Markup {
  if (value === 0) {
    return html`<span class="dim">0</span>`;
  }
  return html`<a href="${href}" aria-label="${count(value)} ${name}">${count(value)}</a>`;
}

/** More is worse. */
export function trendText(value: number): Markup {
  const className = value > 0 ? 'up' : value < 0 ? 'down' : 'dim';
  return html`<span class="${className} nowrap">${signed(value)}</span>`;
}

export interface Column {
  readonly name: string;
  /** `num`: right; `later`: hidden on tablets; `full`: a line of its own on phones. */
  readonly className?: string;
}

export interface TableContent {
  readonly caption: string;
  readonly showCaption?: boolean;
  readonly columns: readonly Column[];
  /** The first cell is the row's heading. */
  readonly rows: readonly (readonly Content[])[];
  readonly className?: string;
}

/** On a phone rows become cards; explicit roles keep it a table for those who listen to it. */
export function table({ caption, showCaption = false, columns, rows, className = '' }: TableContent): Markup {
  const cell = (content: Content, index: number) => {
    const { name = '', className: of = '' } = columns[index] ?? {};
    return index === 0
      ? html`<th scope="row" role="rowheader" class="${of}">${content}</th>`
      : html`<td role="cell" class="${of}" data-label="${name}">${content}</td>`;
  };
  return html`<table class="cards ${className}" role="table"><caption class="${showCaption ? '' : 'vh'}">${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map(({ name, className: of = '' }) => html`<th scope="col" role="columnheader" class="${of}">${name}</th>`)}</tr></thead>
<tbody role="rowgroup">${rows.map(
    (row) => html`<tr role="row">${row.map(cell)}</tr>
`,
  )}</tbody></table>`;
}

/** The figures of a plot for those who cannot see it, or want them. */
export function dataTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Markup {
  return html`<details class="data"><summary>Data table</summary><div class="scroll" tabindex="0" role="group" aria-label="Data table"><table><thead><tr>${columns.map((name, index) => html`<th scope="col" class="${index > 0 ? 'num' : ''}">${name}</th>`)}</tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((value, index) => (index === 0 ? html`<th scope="row">${value}</th>` : html`<td class="num">${typeof value === 'number' ? count(value) : value}</td>`))}</tr>`,
  )}</tbody></table></div></details>`;
}

export function pager(
  text: Content,
  first: string | undefined,
  next: string | undefined,
  size: number,
): Markup {
  return html`<nav class="pager" aria-label="Pages"><span>${text}</span><span class="acts">${first === undefined ? '' : html`<a class="button" href="${first}">First page</a>`}${next === undefined ? '' : html`<a class="button" href="${next}" rel="next">Next ${size}</a>`}</span></nav>`;
}

/** Both ways of a file; German Excel wants semicolons. */
export function csvLinks(path: string, parameters: Readonly<Record<string, string | undefined>>): Markup {
  const comma = address(path, { ...parameters, format: 'csv' });
  const semicolon = address(path, { ...parameters, format: 'csv', delimiter: 'semicolon' });
  return html`<a class="button" href="${comma}" download>${icon('download')}CSV</a><a class="button" href="${semicolon}" download>${icon('download')}CSV with semicolons</a>`;
}

export function printButton(): Markup {
  return html`<button type="button" data-print hidden>${icon('print')}Print</button>`;
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

export function select(
  id: string,
  name: string,
  label: string,
  value: string | undefined,
  choices: readonly Choice[],
  any = 'Any',
): Markup {
  const known = choices.some((choice) => choice.value === value);
  const all = [
    { value: '', text: any },
    ...choices,
    ...(value === undefined || known ? [] : [{ value, text: value }]),
  ];
  return html`<div><label for="${id}">${label}</label><select id="${id}" name="${name}">${all.map(
    (choice) =>
      html`<option value="${choice.value}"${choice.value === (value ?? '') ? html` selected` : ''}>${choice.text}</option>`,
  )}</select></div>`;
}
