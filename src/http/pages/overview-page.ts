import type { RunLine } from '../../audit/audit-store.ts';
import type { Condition, FleetSummary } from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { codesByWeight, severityOf } from './finding-order.ts';
import { count, counted, dayText, moment, share } from './numbers.ts';
import { lookedAt, lowerFirst, type OverviewContent, severityWord } from './overview-content.ts';
import { firstUsePlot, trendPlot } from './overview-plots.ts';
import { findingsTable, whereTables } from './overview-tables.ts';
import {
  address,
  batchLink,
  type Content,
  card,
  csvLinks,
  deviceLink,
  figures,
  idText,
  inShort,
  numberLink,
  pageHead,
  printButton,
  select,
  tag,
} from './parts.ts';
import { conditionFilters, conditionNames, findingWords } from './words.ts';

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
    return inShort('good', 'Nothing is wrong.', undefined, html`<p class="dim">${looked}</p>`);
  }
  const tone = counts.critical > 0 ? 'critical' : counts.warning > 0 ? 'warning' : 'info';
  const open = `${counted(counts.open, 'finding')} ${counts.open === 1 ? 'is' : 'are'} open`;
  if (!changes) {
    return inShort(
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
  return inShort(tone, html`${how}.`, nextOf(run), more);
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
