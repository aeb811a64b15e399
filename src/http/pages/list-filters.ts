import { findingCodes } from '../../audit/finding.ts';
import { type FleetFilter, filterNames, filterValues } from '../../fleet/fleet-filter.ts';
import type { FleetSummary, Tallies } from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { icon } from './icons.ts';
import type { ListContent } from './list-content.ts';
import { address, type Choice, select } from './parts.ts';
import { conditionNames, findingWords, lifeNames, sentenceCase } from './words.ts';

export const filterLabels: Readonly<Record<keyof FleetFilter, string>> = {
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

export function filters({ kind, filter, summary }: ListContent, path: string): Markup {
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
export function chips(path: string, parameters: Readonly<Record<string, string>>): Markup {
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

export function valueName(name: string, value: string): string {
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
