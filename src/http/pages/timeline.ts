import type { EventRecord } from '../../enrollment/ledger/subject-state.ts';
import { html, type Markup } from '../html.ts';
import type { SubjectView } from '../subject-view.ts';
import { type IconName, icon } from './icons.ts';
import { dayText, moment } from './numbers.ts';
import { type Content, tag } from './parts.ts';
import { eventName, findingWords, statusNames } from './words.ts';

interface Moment {
  /** ISO 8601 */
  readonly at: string;
  readonly icon: IconName;
  readonly tone: 'critical' | 'warning' | 'good' | '';
  readonly title: Content;
  readonly more?: Content;
}

const mostMoments = 100;

/** Its whole story, newest first: events, registrations, hubs and findings. */
export function timeline(view: SubjectView): Markup {
  const moments = [...view.events.map(eventMoment), ...audited(view), ...registered(view)]
    .filter(({ at }) => !Number.isNaN(Date.parse(at)))
    .sort((left, right) => Date.parse(right.at) - Date.parse(left.at))
    .slice(0, mostMoments);
  if (moments.length === 0) {
    return html`<p class="dim">Nothing is known of its past.</p>`;
  }
  const days = Map.groupBy(moments, ({ at }) => dayText(new Date(at)));
  return html`<ol class="timeline">${[...days].map(
    ([day, some]) =>
      html`<li><h3>${day}</h3><ol>${some.map(
        (each) =>
          html`<li class="${each.tone}">${moment(new Date(each.at).toISOString(), 'clock')}${icon(each.icon)}<div>${each.title}${each.more === undefined ? '' : html`<small>${each.more}</small>`}</div></li>`,
      )}</ol></li>`,
  )}</ol>`;
}

function eventMoment(event: EventRecord): Moment {
  const { status, detail, reason, warnings, source, id, nextAttemptAt, receivedAt, time } = event;
  const tone = status === 'rejected' ? 'critical' : status === 'retrying' ? 'warning' : '';
  const parts: Content[] = [
    html`From ${source}, id ${id}.`,
    detail === undefined ? '' : html` ${reason === undefined ? '' : html`${reason}: `}${detail}`,
    warnings.length === 0 ? '' : html` Warnings: ${warnings.join(', ')}.`,
    nextAttemptAt === undefined ? '' : html` Tried again at ${moment(nextAttemptAt)}.`,
    Math.abs(Date.parse(receivedAt) - Date.parse(time ?? receivedAt)) > 3_600_000
      ? html` Arrived ${moment(receivedAt)}.`
      : '',
    status === 'rejected' ? html` <a href="/fleet/rejected/${event.key}">Open it</a>.` : '',
  ];
  const told =
    status === 'succeeded' ? '' : html` ${tag(tone === '' ? '' : tone, statusNames[status] ?? status)}`;
  return {
    at: time ?? receivedAt,
    icon: 'event',
    tone,
    title: html`<b>${eventName(event.type)}</b>${told}`,
    more: html`${parts as Markup[]}`,
  };
}

function audited({ entry }: SubjectView): Moment[] {
  return (entry?.audit?.history ?? []).map(({ at, what, text }): Moment => {
    switch (what) {
      case 'registration':
        return {
          at,
          icon: 'radio',
          tone: text === 'assigned' ? 'good' : text === 'failed' ? 'warning' : '',
          title: html`<b>Registered:</b> ${text}`,
          more: 'As an audit saw it.',
        };
      case 'hub':
        return { at, icon: 'hub', tone: '', title: html`<b>Hub:</b> ${text}` };
      case 'found':
        return {
          at,
          icon: 'findings',
          tone: 'warning',
          title: html`<b>Found:</b> ${findingWords(text).name}`,
          more: findingWords(text).means,
        };
      default:
        return { at, icon: 'good', tone: 'good', title: html`<b>Resolved:</b> ${findingWords(text).name}` };
    }
  });
}

/** What DPS says now, if no audit has seen it yet. */
function registered({ dps, entry }: SubjectView): Moment[] {
  const record = dps.registration;
  if (!record?.lastUpdatedDateTimeUtc || record.lastUpdatedDateTimeUtc === entry?.audit?.registeredAt) {
    return [];
  }
  const hub = record.assignedHub === undefined ? '' : `, at ${record.assignedHub}`;
  return [
    {
      at: record.lastUpdatedDateTimeUtc,
      icon: 'radio',
      tone: record.status === 'assigned' ? 'good' : record.status === 'failed' ? 'warning' : '',
      title: html`<b>Registered:</b> ${record.status}${hub}`,
      more: record.errorMessage ?? 'By DPS, now.',
    },
  ];
}
