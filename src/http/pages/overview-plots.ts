import type { RunLine } from '../../audit/audit-store.ts';
import { type FleetSummary, firstUseBins } from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { severityOf } from './finding-order.ts';
import { count, counted, dayText } from './numbers.ts';
import type { OverviewContent } from './overview-content.ts';
import { card, dataTable } from './parts.ts';
import { columnsPlot, legend } from './plots.ts';
import { findingWords } from './words.ts';

export function trendPlot({ runs, run, changes }: OverviewContent): Markup {
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

export function firstUsePlot({ firstUse, recentFirstUse }: FleetSummary): Markup {
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
