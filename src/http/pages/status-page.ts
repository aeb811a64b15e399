import type { ListedEntry } from '../../fleet/index-rows.ts';
import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import type { Status } from '../status-resource.ts';
import { mayOperate } from './forms.ts';
import { stateOf } from './list-tables.ts';
import { count, counted, duration, moment, share } from './numbers.ts';
import {
  batchLink,
  type Content,
  card,
  deviceLink,
  figures,
  inShort,
  pageHead,
  type Tone,
  table,
  tag,
} from './parts.ts';
import { lastDay } from './rejected-pages.ts';

/** A wait that is longer than this is worth a word. */
const longWaitInMs = 10 * 60_000;
const auditOverdueInMs = 26 * 3_600_000;

/** For the operator, at 3 a.m.: does it run, and if not, why. */
export function statusBody(status: Status, viewer: Viewer): Markup {
  const { tone, sentence, next } = statusInShort(status);
  const retry =
    mayOperate(viewer) && isWaiting(status)
      ? html`<form method="post" action="/fleet/status/retry"><button class="primary">Retry now</button></form>`
      : undefined;
  return html`${pageHead('Status', html`Now: ${moment(status.at)}`, html`<a class="button" href="/fleet/status">Look again</a>`)}
${inShort(tone, sentence, next, retry)}
${statusFigures(status)}
${pendingCard(status)}
<div class="two even">${circuitCard(status)}${auditCard(status, viewer)}</div>
${status.rejected.value ? lastDay(status.rejected.value) : unavailable('Rejected events', status.rejected.why)}
${runsCard(status)}`;
}

function statusInShort(status: Status): { tone: Tone; sentence: Content; next?: Content } {
  const { circuit, waiting, runs, at } = status;
  const gone = [
    ['Service Bus', waiting.why],
    ['Table Storage', circuit.why ?? runs.why],
  ].flatMap(([name, why]) => (why === undefined ? [] : [`${name} does not answer`]));
  if (gone.length > 0) {
    return {
      tone: 'critical',
      sentence: `${gone.join(', and ')}.`,
      next: 'look at the service in the Azure portal. Nothing is lost: events stay in the queue.',
    };
  }
  if (circuit.value?.isOpen) {
    return {
      tone: 'critical',
      sentence: html`DPS cannot be used since ${moment(circuit.value.since)}: ${circuit.value.cause}`,
      next: 'events wait and are tried again by themselves; one call every 30 seconds finds out when DPS is back. If it forbids us, check the roles of the app’s identity.',
    };
  }
  const oldest = waiting.value?.oldest;
  const waited = oldest ? Date.parse(at) - oldest.getTime() : 0;
  if (waited > longWaitInMs) {
    return {
      tone: 'warning',
      sentence: `Events wait: the oldest for ${duration(waited)}.`,
      next: 'see whether the quota is used up, and whether the app runs.',
    };
  }
  if (isWaiting(status)) {
    return {
      tone: 'warning',
      sentence: 'It runs, and some devices wait for DPS.',
      next: 'they are tried again by themselves; see below which, and why.',
    };
  }
  const newest = runs.value?.find((each) => each.status === 'finished');
  if (newest && Date.parse(at) - Date.parse(newest.finishedAt ?? at) > auditOverdueInMs) {
    return {
      tone: 'warning',
      sentence: html`Events are applied, but the last audit finished on ${moment(newest.finishedAt)}.`,
      next: 'start one, and see whether the schedule is as it should be.',
    };
  }
  return { tone: 'good', sentence: 'It runs: events are applied as they come.', next: 'nothing to do.' };
}

function isWaiting({ pending, waiting }: Status): boolean {
  const { devices = [], batches = [] } = pending.value ?? {};
  return devices.length + batches.length > 0 || (waiting.value?.scheduled ?? 0) > 0;
}

function statusFigures({ waiting, quota, circuit, rejected, at }: Status): Markup {
  const unknown: Content = html`<span class="dim">unknown</span>`;
  const events = waiting.value;
  const used = quota.value;
  return figures([
    {
      name: 'Waiting events',
      value: events ? `${count(events.active)}${events.isMore ? ' or more' : ''}` : unknown,
      more: events ? `${count(events.scheduled)} to be tried again later` : waiting.why,
    },
    {
      name: 'The oldest has waited',
      value: events
        ? events.oldest
          ? duration(Date.parse(at) - events.oldest.getTime())
          : html`<span class="dim">none waits</span>`
        : unknown,
    },
    {
      name: 'Circuit breaker',
      value: circuit.value ? (circuit.value.isOpen ? 'Open' : 'Closed') : unknown,
      more: circuit.value?.isOpen ? 'DPS is not asked' : 'DPS is asked',
    },
    {
      name: 'DPS quota, last minute',
      value: used ? share(used.used, used.perMinute) : unknown,
      more: used
        ? html`${count(used.used)} of ${counted(used.perMinute, 'operation')}${used.closedUntil === undefined ? '' : html`; DPS said “too many” until ${moment(used.closedUntil)}`}`
        : quota.why,
    },
    {
      name: 'Rejected, last day',
      value: rejected.value ? html`<a href="/fleet/rejected">${count(rejected.value.events)}</a>` : unknown,
    },
  ]);
}

function pendingCard({ pending }: Status): Markup {
  if (!pending.value) {
    return unavailable('What waits to be applied', pending.why);
  }
  const { devices, batches, isMore } = pending.value;
  if (devices.length + batches.length === 0) {
    return html``;
  }
  const rowOf = (entry: ListedEntry, link: Markup) => [link, stateOf(entry), entry.product];
  return card(
    'What waits to be applied',
    'What their events say has not reached DPS yet.',
    html`${table({
      caption: 'Devices and batches that wait',
      columns: [{ name: 'Device or batch', className: 'full' }, { name: 'State' }, { name: 'Product' }],
      rows: [
        ...batches.map((entry) => rowOf(entry, batchLink(entry.id))),
        ...devices.map((entry) => rowOf(entry, deviceLink(entry.id))),
      ],
    })}${isMore ? html`<p><a class="button" href="/fleet/devices?pending=true">All of them</a></p>` : ''}`,
  );
}

function circuitCard({ circuit }: Status): Markup {
  const state = circuit.value;
  if (!state) {
    return unavailable('Circuit breaker', circuit.why);
  }
  const body = state.isOpen
    ? html`<p>${tag('critical', 'Open')} since ${moment(state.since)}.</p><p>${state.cause}</p>`
    : html`<p>${tag('good', 'Closed')}${state.since === undefined ? ' It has not opened yet.' : html` since ${moment(state.since)}.`}</p>`;
  return card('Circuit breaker', 'It spares a DPS that does not answer, or refuses us.', body);
}

function auditCard({ runs, at }: Status, viewer: Viewer): Markup {
  if (!runs.value) {
    return unavailable('Audit', runs.why);
  }
  const newest = runs.value.find(({ status }) => status === 'finished');
  const running = runs.value.find(({ status }) => status === 'running');
  const start =
    mayOperate(viewer) && !running
      ? html`<form method="post" action="/fleet/audits"><button>Start an audit</button></form>`
      : '';
  return card(
    'Audit',
    undefined,
    html`${running ? html`<p>${tag('info', 'In progress')} since ${moment(running.startedAt)}.</p>` : ''}<p>${newest ? html`The last one finished ${duration(Date.parse(at) - Date.parse(newest.finishedAt ?? at))} ago, on ${moment(newest.finishedAt)}: <a href="/fleet">${counted(newest.counts?.open ?? 0, 'open finding')}</a>.` : 'None has finished yet.'}</p>${start}`,
  );
}

function runsCard({ runs }: Status): Markup {
  if (!runs.value || runs.value.length === 0) {
    return html``;
  }
  return card(
    'Audits',
    undefined,
    table({
      caption: 'The last audits',
      columns: [
        { name: 'Started', className: 'full' },
        { name: 'Status' },
        { name: 'Took' },
        { name: 'Findings', className: 'num' },
        { name: 'DPS operations', className: 'num' },
      ],
      rows: runs.value.map((run) => [
        html`<a href="/fleet?run=${encodeURIComponent(run.id)}">${moment(run.startedAt, 'cell')}</a>`,
        run.status === 'finished'
          ? 'Finished'
          : run.status === 'running'
            ? tag('info', 'In progress')
            : tag('critical', 'Failed'),
        run.finishedAt === undefined ? '' : duration(Date.parse(run.finishedAt) - Date.parse(run.startedAt)),
        count(run.counts?.open ?? 0),
        count(run.operations),
      ]),
    }),
  );
}

function unavailable(title: string, why: string | undefined): Markup {
  return card(title, undefined, html`<p>${tag('warning', 'Unknown')} ${why ?? 'It did not response.'}</p>`);
}
