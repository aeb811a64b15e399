import { type FleetFilter, filterParameters } from '../../fleet/fleet-filter.ts';
import { html, type Markup } from '../html.ts';
import type { ListContent } from './list-content.ts';
import { chips, filterLabels, filters, valueName } from './list-filters.ts';
import { rows } from './list-tables.ts';
import { moment } from './numbers.ts';
import { address, csvLinks, empty, pageHead } from './parts.ts';

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
