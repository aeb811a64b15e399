import type { Changes } from '../../audit/audit-run.ts';
import {
  type Condition,
  conditions,
  type FleetSummary,
  type Tallies,
  type Tally,
} from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { codesByWeight, severityOf } from './finding-order.ts';
import { count } from './numbers.ts';
import { type OverviewContent, severityWord, zeros } from './overview-content.ts';
import {
  address,
  batchAddress,
  type Column,
  card,
  idText,
  numberLink,
  table,
  tag,
  trendText,
} from './parts.ts';
import { type Part, sparkline, splitBar } from './plots.ts';
import { conditionFills, conditionFilters, conditionNames, findingWords } from './words.ts';

const mostRows = 12;

export function findingsTable({ run, runs, changes }: OverviewContent): Markup {
  const codes = codesByWeight({ ...zeros(changes?.byCode), ...run.counts?.byCode }, changes);
  if (codes.length === 0) {
    return html``;
  }
  const shown = runs.filter(({ id }) => id <= run.id).reverse();
  const show = (code: string, which: string) =>
    address('/fleet/findings', { run: run.id, since: changes?.since.id, code, show: which });
  const columns: Column[] = [
    { name: 'Finding', className: 'full' },
    { name: 'Open', className: 'num' },
    ...(changes
      ? [
          { name: 'Change', className: 'num' },
          { name: 'New', className: 'num' },
          { name: 'Came back', className: 'num' },
          { name: 'Resolved', className: 'num' },
        ]
      : []),
    { name: 'Trend', className: 'graph' },
  ];
  const rows = codes.map((code) => {
    const { name, means } = findingWords(code);
    const open = run.counts?.byCode[code] ?? 0;
    const change = changes?.byCode[code];
    return [
      html`${tag(severityOf(code), severityWord(code))} <a href="${show(code, 'open')}">${name}</a><small>${means}</small>`,
      numberLink(open, show(code, 'open'), `open: ${name}`),
      ...(changes
        ? [
            trendText((change?.new ?? 0) - (change?.resolved ?? 0)),
            numberLink(change?.new ?? 0, show(code, 'new'), `new: ${name}`),
            numberLink(change?.cameBack ?? 0, show(code, 'back'), `came back: ${name}`),
            numberLink(change?.resolved ?? 0, show(code, 'resolved'), `resolved: ${name}`),
          ]
        : []),
      sparkline(
        shown.map((each) => each.counts?.byCode[code] ?? 0),
        name,
      ),
    ];
  });
  return card(
    'Findings',
    'Each number leads to its rows.',
    table({ caption: 'Findings by code', columns, rows, className: 'codes' }),
    'long',
  );
}

export function whereTables(summary: FleetSummary, _: Changes | undefined): Markup {
  const labels = Object.entries(summary.labels).filter(([, values]) => Object.keys(values).length > 1);
  const kinds: readonly [string, string, Tallies, (name: string) => Record<string, string>, string][] = [
    ['By product', 'Product', summary.products, (product) => ({ product }), 'products'],
    ...labels.map(
      ([name, values]): [string, string, Tallies, (value: string) => Record<string, string>, string] => [
        `By label: ${name}`,
        name,
        values,
        (value) => ({ label: `${name}:${value}` }),
        `label ${name}`,
      ],
    ),
    ['By hub', 'Hub', summary.hubs, (hub) => ({ hub }), 'hubs'],
    [
      'By enrollment group',
      'Enrollment group',
      summary.groups,
      (enrollmentGroup) => ({ enrollmentGroup }),
      'groups',
    ],
    ['By batch', 'Batch', summary.batches, (batch) => ({ batch }), 'batches'],
  ];
  return html`${kinds.filter(([, , tallies]) => Object.keys(tallies).length > 0).map(([title, name, tallies, filter, kind]) => whereTable(title, name, tallies, filter, summary.unlisted[kind] ?? 0))}`;
}

function whereTable(
  title: string,
  name: string,
  tallies: Tallies,
  filter: (value: string) => Record<string, string>,
  unlisted: number,
): Markup {
  const sorted = Object.entries(tallies).sort(
    ([, left], [, right]) => findingsOf(right) - findingsOf(left) || right.devices - left.devices,
  );
  const rows = sorted.slice(0, mostRows).map(([value, tally]) => {
    const list = (more: Readonly<Record<string, string>> = {}) =>
      address('/fleet/devices', { life: 'manufactured', ...filter(value), ...more });
    const number = (condition: Condition) =>
      numberLink(
        tally.conditions[condition] ?? 0,
        list(conditionFilters[condition]),
        `${conditionNames[condition]}, ${value}`,
      );
    return [
      name === 'Batch'
        ? html`<a href="${batchAddress(value)}">${idText(value)}</a>`
        : html`<a href="${list()}">${idText(value)}</a>`,
      numberLink(tally.devices, list(), `devices, ${value}`),
      splitBar(partsOf(tally), value),
      number('overdue'),
      number('failed'),
      number('held'),
      findingsOf(tally) === 0 ? html`<span class="dim">0</span>` : count(findingsOf(tally)),
    ];
  });
  const more = sorted.length - rows.length;
  const note =
    more > 0 || unlisted > 0
      ? html`<p class="small dim">${more > 0 ? `${count(more)} more with fewer findings.` : ''}${unlisted > 0 ? ' Beyond these there are more, without counts of their own; their lists are complete.' : ''}</p>`
      : '';
  return card(
    title,
    undefined,
    html`${table({
      caption: title,
      columns: [
        { name, className: 'full' },
        { name: 'Devices', className: 'num' },
        { name: 'States', className: 'bars' },
        { name: 'Never registered', className: 'num' },
        { name: 'Failed', className: 'num' },
        { name: 'Held', className: 'num' },
        { name: 'Findings', className: 'num' },
      ],
      rows,
      className: 'where',
    })}${note}`,
    'long',
  );
}

export function partsOf(tally: Tally): Part[] {
  return conditions.map((condition) => ({
    name: conditionNames[condition].toLowerCase(),
    fill: conditionFills[condition],
    value: tally.conditions[condition] ?? 0,
  }));
}

function findingsOf({ findings }: Tally): number {
  return Object.values(findings).reduce((sum, each) => sum + each, 0);
}
