import type { ListedEntry } from '../../fleet/index-rows.ts';
import { html, type Markup } from '../html.ts';
import type { ListContent } from './list-content.ts';
import { counted, moment } from './numbers.ts';
import {
  address,
  batchLink,
  type Content,
  deviceLink,
  idText,
  numberLink,
  pager,
  table,
  tag,
} from './parts.ts';
import { conditionNames, findingWords, lifeNames } from './words.ts';

export function rows(
  { kind, page, isFirst, pageSize }: ListContent,
  path: string,
  parameters: Readonly<Record<string, string>>,
  total: number | undefined,
): Markup {
  const { entries, continuation } = page;
  const shown = kind === 'device' ? deviceTable(entries) : batchTable(entries);
  const known = isFirst && continuation === undefined ? entries.length : total;
  const what = kind === 'device' ? 'device' : 'batch';
  const many = kind === 'device' ? 'devices' : 'batches';
  const text =
    continuation === undefined
      ? isFirst
        ? counted(entries.length, what, many)
        : `The last ${counted(entries.length, what, many)}`
      : known === undefined
        ? `${counted(entries.length, what, many)}, and more`
        : `${counted(entries.length, what, many)} of ${counted(known, what, many)}`;
  return html`<section class="card long" aria-label="${kind === 'device' ? 'Devices' : 'Batches'}">${shown}${pager(
    text,
    isFirst ? undefined : address(path, parameters),
    continuation === undefined ? undefined : address(path, { ...parameters, continuation }),
    pageSize,
  )}</section>`;
}

function deviceTable(entries: readonly ListedEntry[]): Markup {
  return table({
    caption: 'Devices',
    columns: [
      { name: 'Device', className: 'full' },
      { name: 'State', className: 'state-cell' },
      { name: 'Findings', className: 'full' },
      { name: 'Product' },
      { name: 'Batch' },
      { name: 'Labels', className: 'later' },
      { name: 'Hub', className: 'later' },
      { name: 'Registered', className: 'later' },
    ],
    rows: entries.map((entry) => [
      html`${deviceLink(entry.id)}${entry.deviceId !== undefined && entry.deviceId.toLowerCase() !== entry.id ? html`<small>Device id ${entry.deviceId}</small>` : ''}`,
      stateOf(entry),
      entry.findings.length === 0
        ? ''
        : html`${entry.findings.map((code) => html`${tag('warning', findingWords(code).name)} `)}`,
      entry.product,
      entry.batch === undefined ? '' : batchLink(entry.batch),
      labelsOf(entry),
      entry.hub === undefined ? '' : hubText(entry.hub),
      moment(entry.registeredAt, 'cell'),
    ]),
    className: 'rows',
  });
}

function batchTable(entries: readonly ListedEntry[]): Markup {
  const number = (
    entry: ListedEntry,
    value: number | undefined,
    more: Readonly<Record<string, string>>,
    name: string,
  ): Content =>
    value === undefined
      ? html`<span class="dim">–</span>`
      : numberLink(
          value,
          address('/fleet/devices', { life: 'manufactured', batch: entry.id, ...more }),
          `${name}, ${entry.id}`,
        );
  return table({
    caption: 'Batches',
    columns: [
      { name: 'Batch', className: 'full' },
      { name: 'Lifecycle', className: 'state-cell' },
      { name: 'Findings', className: 'full' },
      { name: 'Product' },
      { name: 'Devices', className: 'num' },
      { name: 'Assigned', className: 'num' },
      { name: 'Failed', className: 'num' },
      { name: 'Labels', className: 'later' },
      { name: 'Started' },
    ],
    rows: entries.map((entry) => [
      batchLink(entry.id),
      html`${entry.held ? html`<span class="state held">Held</span>` : (lifeNames[entry.life] ?? entry.life)}${entry.pending ? html` ${tag('info', 'Waits')}` : ''}`,
      entry.findings.length === 0
        ? ''
        : html`${entry.findings.map((code) => html`${tag('warning', findingWords(code).name)} `)}`,
      entry.product,
      number(entry, entry.counts?.devices, {}, 'devices'),
      number(entry, entry.counts?.assigned, { state: 'assigned', held: 'false' }, 'assigned'),
      number(entry, entry.counts?.failed, { state: 'failed', held: 'false' }, 'failed'),
      labelsOf(entry),
      moment(entry.definedAt, 'cell'),
    ]),
    className: 'rows',
  });
}

/** Where a device is, in a word and a shape. */
export function stateOf(
  entry: Pick<ListedEntry, 'life' | 'held' | 'waiting' | 'findings' | 'state' | 'pending'>,
): Markup {
  const pending = entry.pending ? html` ${tag('info', 'Waits')}` : '';
  if (entry.life === 'scrapped') {
    return html`<span class="state disabled">Scrapped</span>${pending}`;
  }
  const condition = entry.held
    ? 'held'
    : entry.waiting
      ? 'waiting'
      : entry.findings.includes('never-registered')
        ? 'overdue'
        : entry.state;
  if (condition === undefined) {
    return html`<span class="state waiting">${entry.life === 'expected' ? 'Not defined yet' : 'Not audited yet'}</span>${pending}`;
  }
  return html`<span class="state ${condition}">${conditionNames[condition]}</span>${pending}`;
}

function labelsOf({ labels }: ListedEntry): Content {
  const entries = Object.entries(labels);
  return entries.length === 0
    ? ''
    : html`<span class="labels">${entries.slice(0, 3).map(([name, value]) => html`<span class="label"><span class="dim">${name}</span> ${value}</span> `)}${entries.length > 3 ? `and ${entries.length - 3} more` : ''}</span>`;
}

/** The first part says which hub it is. */
export function hubText(hub: string): Markup {
  const [name = hub] = hub.split('.');
  return html`<span title="${hub}">${idText(name)}</span>`;
}
