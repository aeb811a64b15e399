import type { Changes } from '../../audit/audit-run.ts';
import type { RunLine } from '../../audit/audit-store.ts';
import {
  type Condition,
  conditions,
  type FleetSummary,
  firstUseBins,
  type Tallies,
  type Tally,
} from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { codesByWeight, severityOf } from './finding-order.ts';
import { count, counted, dayText, moment, share } from './numbers.ts';
import {
  address,
  batchAddress,
  batchLink,
  type Column,
  type Content,
  card,
  csvLinks,
  dataTable,
  deviceLink,
  figures,
  idText,
  numberLink,
  pageHead,
  printButton,
  select,
  table,
  tag,
  trendText,
  verdict,
} from './parts.ts';
import { columnsPlot, legend, type Part, sparkline, splitBar } from './plots.ts';
import { conditionFills, conditionFilters, conditionNames, findingWords } from './words.ts';

export interface OverviewContent {
  readonly run: RunLine;
  readonly summary: FleetSummary;
  /** Finished runs, the newest first; the shown one is among them. */
  readonly runs: readonly RunLine[];
  readonly changes: Changes | undefined;
  /** An audit is in progress. */
  readonly running?: boolean;
}

const mostRows = 12;
const todoItems = 5;

/** For quality, on Monday: worse or better, where, and what first. */
export function overviewBody(content: OverviewContent): Markup {
  const { run, summary, changes } = content;
  return html`${head(content)}
${sentence(content)}
${fleetFigures(summary)}
${todo(content)}
<div class="two">${trendPlot(content)}${firstUsePlot(summary)}</div>
${findingsTable(content)}
${whereTables(summary, changes)}
${lookedAt(run)}`;
}

function head({ run, runs, changes }: OverviewContent): Markup {
  const earlier = runs.filter(({ id }) => id < run.id);
  const choices = earlier.map(({ id, finishedAt, startedAt }) => {
    const date = new Date(finishedAt ?? startedAt);
    return { value: id, text: `${dayText(date)}, ${date.toISOString().slice(11, 16)}` };
  });
  const form =
    choices.length === 0
      ? undefined
      : html`<form class="acts compare-with" action="/fleet"><input type="hidden" name="run" value="${run.id}">${select('since', 'since', 'Compared with', changes?.since.id, choices, 'A week before')}<button data-auto>Compare</button></form>`;
  return pageHead(
    'Provisioning',
    html`Audit of ${moment(run.finishedAt ?? run.startedAt)}${run.status === 'finished' ? '' : ', in progress'}<span class="print-only"> Run ${run.id}.</span>`,
    html`${form}${csvLinks('/fleet/findings', { run: run.id })}${printButton()}`,
  );
}

function sentence({ run, changes, summary }: OverviewContent): Markup {
  const counts = run.counts;
  if (!counts || counts.open === 0) {
    const looked = `The audit compared ${counted(summary.all.devices, 'device')} with DPS and found nothing that is not as it should be.`;
    return verdict('good', 'Nothing is wrong.', undefined, html`<p class="dim">${looked}</p>`);
  }
  const tone = counts.critical > 0 ? 'critical' : counts.warning > 0 ? 'warning' : 'info';
  const open = `${counted(counts.open, 'finding')} ${counts.open === 1 ? 'is' : 'are'} open`;
  if (!changes) {
    return verdict(
      tone,
      `${open}. This is the first audit: there is nothing to compare it with.`,
      nextOf(run),
    );
  }
  const difference = changes.new - changes.resolved;
  const compared = html`the audit of ${moment(changes.since.finishedAt)}`;
  const how =
    difference === 0
      ? html`${open}, as many as in ${compared}`
      : html`${open}, ${count(Math.abs(difference))} ${difference > 0 ? 'more' : 'fewer'} than in ${compared}`;
  const link = (show: string, value: number, text: string) =>
    value === 0
      ? html`${count(value)} ${text}`
      : html`<a href="${address('/fleet/findings', { run: run.id, since: changes.since.id, show })}">${count(value)} ${text}</a>`;
  const back = changes.cameBack === 0 ? '' : html` (${link('back', changes.cameBack, 'came back')})`;
  const more = html`<p>${link('new', changes.new, 'new')}${back}, ${link('resolved', changes.resolved, 'resolved')}, ${link('still', changes.stillOpen, 'still open')}.</p>`;
  return verdict(tone, html`${how}.`, nextOf(run), more);
}

function nextOf(run: RunLine): Content {
  const [worst] = codesByWeight(run.counts?.byCode ?? {}, undefined);
  return worst === undefined
    ? undefined
    : `${findingWords(worst).name}: ${lowerFirst(findingWords(worst).next)}`;
}

function fleetFigures({ all, scrapped }: FleetSummary): Markup {
  const of = (condition: Condition) => all.conditions[condition] ?? 0;
  const link = (condition: Condition) =>
    numberLink(
      of(condition),
      address('/fleet/devices', conditionFilters[condition]),
      conditionNames[condition],
    );
  const shareOf = (condition: Condition) => share(of(condition), all.devices);
  return figures([
    {
      name: 'Devices',
      value: numberLink(all.devices, '/fleet/devices?life=manufactured', 'devices'),
      more:
        scrapped === 0
          ? 'None scrapped'
          : html`and <a href="/fleet/devices?life=scrapped">${count(scrapped)} scrapped</a>`,
    },
    { name: 'Assigned', value: link('assigned'), more: shareOf('assigned') },
    { name: 'Not switched on yet', value: link('waiting'), more: 'Within their time' },
    { name: 'Never registered', value: link('overdue'), more: 'Longer than their time' },
    { name: 'Failed', value: link('failed'), more: shareOf('failed') },
    {
      name: 'Held',
      value: link('held'),
      more: html`${numberLink(of('disabled'), address('/fleet/devices', conditionFilters.disabled), 'disabled in DPS')} disabled in DPS`,
    },
  ]);
}

/** The gravest first; among equals what grew most. */
function todo({ run, summary, changes }: OverviewContent): Markup {
  const codes = codesByWeight(run.counts?.byCode ?? {}, changes).slice(0, todoItems);
  if (codes.length === 0) {
    return html``;
  }
  const items = codes.map((code) => {
    const { name, means, next, of } = findingWords(code);
    const open = run.counts?.byCode[code] ?? 0;
    const grew = changes?.byCode[code]?.new ?? 0;
    const examples = (summary.examples?.[code] ?? []).slice(0, 3);
    const links = examples.flatMap(({ subject }, index) => [
      index === 0 ? '' : ', ',
      subjectLink(subject, of),
    ]);
    const href = address('/fleet/findings', { run: run.id, code });
    return html`<li><div><h3>${tag(severityOf(code), severityWord(code))} ${name}: ${count(open)}${grew > 0 && changes ? html`, <span class="up">${count(grew)} new</span>` : ''}</h3><p>${means} ${next}</p>${links.length > 0 ? html`<p class="small dim">Newest: ${links as Content}</p>` : ''}</div><a class="button" href="${href}">Show ${counted(open, 'row')}</a></li>`;
  });
  return card('What to do first', undefined, html`<ol class="todo">${items}</ol>`);
}

function subjectLink(subject: string, of: string): Markup {
  if (of === 'devices') {
    return deviceLink(subject);
  }
  return of === 'batches'
    ? batchLink(subject)
    : idText(subject.length > 24 ? `${subject.slice(0, 16)}…` : subject);
}

function severityWord(code: string): string {
  const severity = severityOf(code);
  return severity === 'critical' ? 'Critical' : 'Warning';
}

function trendPlot({ runs, run, changes }: OverviewContent): Markup {
  const shown = runs.filter(({ id }) => id <= run.id).reverse();
  const codes = Object.entries(run.counts?.byCode ?? {})
    .sort(([, left], [, right]) => right - left)
    .map(([code]) => code);
  const critical = codes.filter((code) => severityOf(code) === 'critical');
  const [first, second] = codes.filter((code) => severityOf(code) !== 'critical');
  const of = (each: RunLine, some: readonly (string | undefined)[]) =>
    some.reduce((sum, code) => sum + (code === undefined ? 0 : (each.counts?.byCode[code] ?? 0)), 0);
  const named = [...critical, first, second];
  const series = [
    { name: 'Critical', fill: 'f-failed', values: shown.map((each) => of(each, critical)) },
    ...(first === undefined
      ? []
      : [
          {
            name: findingWords(first).name,
            fill: 'f-attention',
            values: shown.map((each) => of(each, [first])),
          },
        ]),
    ...(second === undefined
      ? []
      : [
          {
            name: findingWords(second).name,
            fill: 'f-held',
            values: shown.map((each) => of(each, [second])),
          },
        ]),
    {
      name: 'All others',
      fill: 'f-waiting',
      values: shown.map((each) => (each.counts?.open ?? 0) - of(each, named)),
    },
  ];
  const labels = shown.map(({ finishedAt, startedAt }, index) => {
    const every = Math.max(1, Math.ceil(shown.length / 6));
    return index % every === 0 ? dayText(new Date(finishedAt ?? startedAt), false) : '';
  });
  const marked = shown.findIndex(({ id }) => id === changes?.since.id);
  const [oldest, newest] = [shown[0]?.counts?.open ?? 0, run.counts?.open ?? 0];
  const plot = columnsPlot({
    id: 'trend',
    title: 'Open findings per audit',
    description: `${counted(shown.length, 'audit')}: from ${count(oldest)} to ${count(newest)} open findings.`,
    series,
    labels,
    ...(marked < 0 ? {} : { marked }),
  });
  const rows = shown.map((each, index) => [
    dayText(new Date(each.finishedAt ?? each.startedAt)),
    ...series.map(({ values }) => values[index] ?? 0),
  ]);
  return card(
    'Is it getting worse?',
    shown.length === 1
      ? 'Open findings after the first audit.'
      : `Open findings after each of the last ${counted(shown.length, 'audit')}.`,
    html`<div class="plot">${legend([...series.map(({ fill, name }) => [fill, name] as const), ...(marked < 0 ? [] : [['then', 'Compared with'] as const])])}${plot}${dataTable(['Audit', ...series.map(({ name }) => name)], rows)}</div>`,
  );
}

function firstUsePlot({ firstUse, recentFirstUse }: FleetSummary): Markup {
  const labels = [...firstUseBins.map((days) => `< ${days}`), 'more'];
  const all = firstUse.reduce((sum, each) => sum + each, 0);
  const line = 'Days from manufacture to the first registration.';
  if (all === 0) {
    return card(
      'How long until first use?',
      line,
      html`<p class="dim">No device that an event has named has registered yet.</p>`,
    );
  }
  const plot = columnsPlot({
    id: 'first-use',
    title: 'Devices by days from manufacture to their first registration',
    description: firstUse.map((devices, bin) => `${labels[bin]} days: ${count(devices)}`).join(', '),
    series: [{ name: 'Devices', fill: 'f-assigned', values: firstUse }],
    labels,
    outline: recentFirstUse,
  });
  return card(
    'How long until first use?',
    line,
    html`<div class="plot">${legend([
      ['f-assigned', 'All devices'],
      ['outline', 'Registered first within the last 30 days'],
    ])}${plot}${dataTable(
      ['Days', 'All devices', 'Last 30 days'],
      firstUse.map((devices, bin) => [labels[bin] ?? '', devices, recentFirstUse[bin] ?? 0]),
    )}</div>`,
  );
}

function findingsTable({ run, runs, changes }: OverviewContent): Markup {
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

function whereTables(summary: FleetSummary, _: Changes | undefined): Markup {
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

function lookedAt({ scanned, operations, id }: RunLine): Markup {
  return html`<p class="small dim">Run ${id} looked at ${counted(scanned.individualEnrollments, 'individual enrollment')}, ${counted(scanned.enrollmentGroups, 'enrollment group')} and ${counted(scanned.groupRegistrations + scanned.individualStates, 'registration')}, with ${counted(operations, 'DPS operation')}.</p>`;
}

function zeros(byCode: Changes['byCode'] | undefined): Record<string, number> {
  return Object.fromEntries(Object.keys(byCode ?? {}).map((code) => [code, 0]));
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
