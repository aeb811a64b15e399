import { findingCodes } from '../../audit/finding.ts';
import type { SubjectKind } from '../../events/manufacturing-event.ts';
import { type FleetFilter, filterNames, filterParameters, filterValues } from '../../fleet/fleet-filter.ts';
import type { FleetPage } from '../../fleet/fleet-list.ts';
import type { FleetSummary, Tallies } from '../../fleet/fleet-summary.ts';
import type { ListedEntry } from '../../fleet/index-rows.ts';
import { html, type Markup } from '../html.ts';
import { icon } from './icons.ts';
import { counted, moment } from './numbers.ts';
import {
  address,
  batchLink,
  type Choice,
  type Content,
  csvLinks,
  deviceLink,
  empty,
  idText,
  numberLink,
  pageHead,
  pager,
  select,
  table,
  tag,
} from './parts.ts';
import { conditionNames, findingWords, lifeNames, sentenceCase } from './words.ts';

export interface ListContent {
  readonly kind: SubjectKind;
  readonly filter: FleetFilter;
  readonly page: FleetPage;
  readonly isFirst: boolean;
  readonly pageSize: number;
  /** Of the newest audit; undefined: there was none yet. */
  readonly summary: FleetSummary | undefined;
  readonly auditedAt: string | undefined;
}

const filterLabels: Readonly<Record<keyof FleetFilter, string>> = {
  q: 'Begins with',
  product: 'Product',
  batch: 'Batch',
  label: 'Label',
  enrollmentGroup: 'Enrollment group',
  hub: 'Hub',
  state: 'State',
  life: 'Lifecycle',
  finding: 'Finding',
  held: 'Held',
  pending: 'Waits to be applied',
};

/** The devices or batches of a filter, one page of them. */
export function listBody(content: ListContent): Markup {
  const { kind, filter, page, summary } = content;
  const isDevices = kind === 'device';
  const path = isDevices ? '/fleet/devices' : '/fleet/batches';
  const parameters = Object.fromEntries(filterParameters(filter));
  const isFiltered = Object.keys(parameters).length > 0;
  if (page.entries.length === 0 && page.continuation === undefined && !isFiltered) {
    return html`${pageHead(isDevices ? 'Devices' : 'Batches', undefined)}${emptyFleet(isDevices)}`;
  }
  const isWhole = parameters.life === 'manufactured' && Object.keys(parameters).length === 1;
  const total = isDevices && isWhole ? summary?.all.devices : undefined;
  const line =
    content.auditedAt === undefined
      ? 'No audit has finished yet: what the devices did is not known.'
      : html`What the events say is current; registrations and findings are those of the audit of ${moment(content.auditedAt)}.`;
  return html`${pageHead(isDevices ? 'Devices' : 'Batches', line, csvLinks(path, parameters))}
${filters(content, path)}
${chips(path, parameters)}
${page.entries.length === 0 ? nothingFits(content, path) : rows(content, path, parameters, total)}`;
}

function filters({ kind, filter, summary }: ListContent, path: string): Markup {
  const names: readonly string[] = filterNames[kind];
  const has = (name: keyof FleetFilter) => names.includes(name);
  const label = filter.label ? `${filter.label.name}:${filter.label.value}` : undefined;
  const fields = [
    has('product')
      ? select('f-product', 'product', 'Product', filter.product, choices(summary?.products))
      : '',
    has('state')
      ? select(
          'f-state',
          'state',
          'State',
          filter.state,
          filterValues.state.map((value) => ({ value, text: stateName(value) })),
        )
      : '',
    has('finding')
      ? select(
          'f-finding',
          'finding',
          'Finding',
          filter.finding,
          findingCodes.map((value) => ({ value, text: findingWords(value).name })),
        )
      : '',
    select(
      'f-life',
      'life',
      'Lifecycle',
      filter.life,
      filterValues.life[kind].map((value) => ({ value, text: lifeNames[value] ?? value })),
    ),
    select('f-held', 'held', 'Held', filter.held === undefined ? undefined : String(filter.held), yesOrNo),
    select('f-label', 'label', 'Label', label, labelChoices(summary)),
    has('hub') ? select('f-hub', 'hub', 'Hub', filter.hub, choices(summary?.hubs)) : '',
    has('batch') ? field('f-batch', 'batch', 'Batch', filter.batch) : '',
    has('enrollmentGroup')
      ? field('f-group', 'enrollmentGroup', 'Enrollment group', filter.enrollmentGroup)
      : '',
    select(
      'f-pending',
      'pending',
      'Waits to be applied',
      filter.pending === undefined ? undefined : String(filter.pending),
      yesOrNo,
    ),
  ];
  return html`<form class="filters card" action="${path}"><div class="wide"><label for="f-q">Begins with</label><input id="f-q" name="q" type="search" value="${filter.q}" maxlength="256" autocomplete="off" spellcheck="false" aria-describedby="f-q-hint"><span class="hint" id="f-q-hint">${kind === 'device' ? 'The beginning of a registration id, a device id or a label, such as a serial number.' : 'The beginning of a batch id or a label.'}</span></div>${fields}<div><button class="primary">Show</button></div></form>`;
}

function field(id: string, name: string, label: string, value: string | undefined): Markup {
  return html`<div><label for="${id}">${label}</label><input id="${id}" name="${name}" value="${value}" maxlength="256" autocomplete="off" spellcheck="false"></div>`;
}

const yesOrNo: readonly Choice[] = [
  { value: 'true', text: 'Yes' },
  { value: 'false', text: 'No' },
];

function choices(tallies: Tallies | undefined): Choice[] {
  return Object.keys(tallies ?? {})
    .sort()
    .map((value) => ({ value, text: value }));
}

function labelChoices(summary: FleetSummary | undefined): Choice[] {
  return Object.entries(summary?.labels ?? {}).flatMap(([name, values]) =>
    Object.keys(values)
      .sort()
      .map((value) => ({ value: `${name}:${value}`, text: `${name}: ${value}` })),
  );
}

/** What the list is filtered by; each leads to the list without it. */
function chips(path: string, parameters: Readonly<Record<string, string>>): Markup {
  const entries = Object.entries(parameters);
  if (entries.length === 0) {
    return html``;
  }
  const without = (name: string) => address(path, { ...parameters, [name]: undefined });
  return html`<div class="chips" role="group" aria-label="Filters in use">${entries.map(
    ([name, value]) =>
      html`<a class="chip on" href="${without(name)}" aria-label="Remove the filter ${filterLabels[name as keyof FleetFilter]}: ${valueName(name, value)}">${filterLabels[name as keyof FleetFilter]}: ${valueName(name, value)}${icon('close')}</a>`,
  )}${entries.length > 1 ? html`<a class="chip" href="${path}">Remove all</a>` : ''}</div>`;
}

function valueName(name: string, value: string): string {
  if (name === 'finding') {
    return findingWords(value).name;
  }
  if (name === 'state') {
    return stateName(value);
  }
  if (name === 'life') {
    return lifeNames[value] ?? value;
  }
  return value === 'true' ? 'yes' : value === 'false' ? 'no' : value;
}

function stateName(state: string): string {
  return (conditionNames as Readonly<Record<string, string>>)[state] ?? sentenceCase(state);
}

function rows(
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

function nothingFits({ page, filter, kind }: ListContent, path: string): Markup {
  const parameters = Object.fromEntries(filterParameters(filter));
  const named = Object.entries(parameters)
    .map(
      ([name, value]) => `${filterLabels[name as keyof FleetFilter].toLowerCase()} ${valueName(name, value)}`,
    )
    .join(' and ');
  const what = kind === 'device' ? 'device' : 'batch';
  if (page.continuation !== undefined) {
    const next = address(path, { ...parameters, continuation: page.continuation });
    return empty(
      'search',
      'Not found so far',
      `These filters rarely meet: ${named}. The search can go on.`,
      html`<a class="button primary" href="${next}">Go on</a>`,
    );
  }
  return empty(
    'search',
    `No ${what} fits`,
    `There is no ${what} with ${named}.`,
    html`<a class="button" href="${path}">Remove all filters</a>`,
  );
}

function emptyFleet(isDevices: boolean): Markup {
  return isDevices
    ? empty(
        'devices',
        'No devices yet',
        'The first one appears here when its device.manufactured event has been applied.',
      )
    : empty(
        'batches',
        'No batches yet',
        'The first one appears here when its batch.started event has been applied.',
      );
}
