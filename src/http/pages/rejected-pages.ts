import type { RejectedFilter, StoredRejection } from '../../enrollment/rejected/rejected-events.ts';
import { rejectionReasons } from '../../events/rejection.ts';
import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import type { RejectedCounts } from '../status-resource.ts';
import { mayOperate } from './forms.ts';
import { count, counted, moment } from './numbers.ts';
import {
  address,
  batchLink,
  type Content,
  card,
  deviceLink,
  empty,
  facts,
  idText,
  inShort,
  notice,
  pageHead,
  pager,
  select,
  table,
  tag,
} from './parts.ts';
import { eventName, sentenceCase } from './words.ts';

export interface RejectedListContent {
  readonly filter: RejectedFilter;
  readonly rejections: readonly StoredRejection[];
  readonly counts: RejectedCounts | undefined;
  readonly isFirst: boolean;
  readonly continuation: string | undefined;
  readonly pageSize: number;
  readonly viewer: Viewer;
}

/** What was rejected, by reason and source, with a way to each and a replay of chosen ones. */
export function rejectedListBody(content: RejectedListContent): Markup {
  const { filter, rejections, counts, isFirst, continuation, pageSize, viewer } = content;
  const parameters = {
    reason: filter.reason,
    source: filter.source,
    since: filter.since,
    until: filter.until,
  };
  const path = '/fleet/rejected';
  const form = html`<form class="filters card" action="${path}">${select(
    'r-reason',
    'reason',
    'Reason',
    filter.reason,
    rejectionReasons.map((value) => ({ value, text: reasonName(value) })),
  )}<div><label for="r-source">Source</label><input id="r-source" name="source" value="${filter.source}" maxlength="1024" autocomplete="off"></div><div><label for="r-since">Arrived since</label><input id="r-since" type="date" name="since" value="${filter.since?.slice(0, 10)}"></div><div><label for="r-until">Until</label><input id="r-until" type="date" name="until" value="${filter.until?.slice(0, 10)}"></div><div><button class="primary">Show</button></div></form>`;
  const head = pageHead(
    'Rejected events',
    'What could not be taken, and why. Nothing of it has changed DPS.',
  );
  if (rejections.length === 0) {
    return html`${head}${form}${empty('good', 'No rejected event', isFiltered(filter) ? 'None fits these filters.' : 'Every event that arrived was taken.')}`;
  }
  const rows = rejections.map((rejection) => [
    html`${mayOperate(viewer) && rejection.event.replayable && rejection.event.replayedAt === undefined ? html`<input type="checkbox" name="key" value="${rejection.event.key}" aria-label="Choose the event of ${rejection.event.subject ?? 'unknown'}"> ` : ''}<a href="${rejectedAddress(rejection)}">${rejection.event.subject === undefined ? 'Unreadable' : idText(rejection.event.subject)}</a>`,
    tag('critical', reasonName(rejection.event.reason)),
    html`<span class="detail">${rejection.event.detail}</span>`,
    rejection.event.source === undefined ? '' : idText(rejection.event.source),
    moment(rejection.firstSeen.toISOString(), 'cell'),
    rejection.event.replayedAt === undefined
      ? ''
      : html`replayed ${moment(rejection.event.replayedAt, 'cell')}`,
  ]);
  const shown = table({
    caption: 'Rejected events, newest first',
    columns: [
      { name: 'Subject', className: 'full' },
      { name: 'Reason', className: 'full' },
      { name: 'Detail', className: 'full' },
      { name: 'Source' },
      { name: 'Arrived' },
      { name: 'Since then' },
    ],
    rows,
    className: 'findings',
  });
  const pages = pager(
    continuation === undefined && isFirst
      ? counted(rejections.length, 'event')
      : `${counted(rejections.length, 'event')}, and more`,
    isFirst ? undefined : address(path, parameters),
    continuation === undefined ? undefined : address(path, { ...parameters, continuation }),
    pageSize,
  );
  const list = mayOperate(viewer)
    ? html`<form method="post" action="/fleet/rejected/replay">${shown}<p class="acts"><button class="primary">Replay the chosen ones</button><span class="hint">They are evaluated anew: useful where their reason is gone, with a new profile, say.</span></p></form>`
    : shown;
  return html`${head}${isFirst && counts ? lastDay(counts) : ''}${form}<section class="card long" aria-label="Rejected events">${list}${pages}</section>`;
}

export function lastDay(counts: RejectedCounts): Markup {
  const list = (title: string, by: Readonly<Record<string, number>>, name: 'reason' | 'source') =>
    table({
      caption: title,
      showCaption: true,
      columns: [
        { name: sentenceCase(name), className: 'full' },
        { name: 'Events', className: 'num' },
      ],
      rows: Object.entries(by)
        .sort(([, left], [, right]) => right - left)
        .slice(0, 8)
        .map(([value, events]) => [
          html`<a href="${address('/fleet/rejected', { [name]: value })}">${name === 'reason' ? reasonName(value) : value === '' ? 'Unknown' : idText(value)}</a>`,
          count(events),
        ]),
    });
  return card(
    `${counts.isMore ? 'More than ' : ''}${counted(counts.events, 'rejected event')} in the last 24 hours`,
    undefined,
    counts.events === 0
      ? html`<p class="dim">None was rejected.</p>`
      : html`<div class="two even">${list('By reason', counts.byReason, 'reason')}${list('By source', counts.bySource, 'source')}</div>`,
  );
}

export interface RejectedEventContent {
  readonly rejection: StoredRejection;
  readonly viewer: Viewer;
  /** What was sent as a corrected copy, and why it was not taken. */
  readonly attempt?: {
    readonly text: string;
    readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
  };
}

/** One rejected event: its fault marked, its text to mend. */
export function rejectedEventBody({ rejection, viewer, attempt }: RejectedEventContent): Markup {
  const { event, body, firstSeen } = rejection;
  const isBatch = event.type?.split('.').at(-2) === 'batch';
  const text = prettyText(body);
  const link =
    event.subject === undefined ? undefined : isBatch ? batchLink(event.subject) : deviceLink(event.subject);
  const next: Content =
    event.replayedAt !== undefined
      ? html`it was replayed on ${moment(event.replayedAt)}; its status is on the page of ${link ?? 'its device'}.`
      : event.replayable
        ? 'correct a copy and send it, or replay it once the reason is gone.'
        : `it cannot be replayed, because ${event.notReplayable ?? 'its body is not kept'}. Have its sender send a corrected one.`;
  return html`${pageHead('Rejected event', html`Arrived ${moment(firstSeen.toISOString())}`, undefined, html`<a href="/fleet/rejected">Rejected events</a>`)}
${inShort('critical', html`${event.detail}`, next)}
<div class="two side"><div class="stack">
${attempt ? mistakes(attempt.errors) : ''}
${card('What arrived', event.pointer === '' ? undefined : html`At fault: <code>${event.pointer}</code>`, html`<pre tabindex="0" aria-label="The event’s text">${marked(text, event.pointer)}</pre>`)}
${mayOperate(viewer) ? correction(rejection, attempt?.text ?? text) : ''}
</div><div class="stack">
${card(
  'About it',
  undefined,
  facts([
    ['Reason', html`${reasonName(event.reason)} <span class="dim">${event.reason}</span>`],
    ['Subject', link],
    ['Type', event.type === undefined ? undefined : eventName(event.type)],
    ['Source', event.source === undefined ? undefined : idText(event.source)],
    ['Event id', event.id === undefined ? undefined : idText(event.id)],
    ['Happened', moment(event.time)],
    ['Rejected', moment(event.rejectedAt)],
    ['Key', html`<span class="id long">${event.key}</span>`],
  ]),
)}
${
  mayOperate(viewer) && event.replayable && event.replayedAt === undefined
    ? card(
        'Replay',
        'The same event, evaluated anew. Twice changes nothing.',
        html`<form method="post" action="/fleet/rejected/replay"><input type="hidden" name="key" value="${event.key}"><button>Replay as it is</button></form>`,
      )
    : ''
}
</div></div>`;
}

/** Found by its key and by when it arrived: rows are kept by day. */
export function rejectedAddress({ event, firstSeen }: StoredRejection): string {
  return address(`/fleet/rejected/${encodeURIComponent(event.key)}`, { seen: firstSeen.toISOString() });
}

function correction({ event, firstSeen }: StoredRejection, text: string): Markup {
  return card(
    'Send a corrected copy',
    'It goes out as an event of your own, with your name as its source and an id of its own.',
    html`<form class="act wide" method="post" action="/fleet/rejected/${encodeURIComponent(event.key)}/send?seen=${encodeURIComponent(firstSeen.toISOString())}"><div><label for="copy">The event, as JSON</label><textarea id="copy" name="text" rows="14" spellcheck="false" required>${text}</textarea></div><input type="hidden" name="id" value="${crypto.randomUUID()}"><div><button class="primary">Send the copy</button></div></form>`,
  );
}

function mistakes(errors: readonly { readonly pointer: string; readonly detail: string }[]): Markup {
  return notice(
    'critical',
    html`<p><b>The copy was not taken.</b> Nothing was sent.</p><ul>${errors.map(({ pointer, detail }) => html`<li><a href="#copy">${pointer === '' ? 'The text' : html`<code>${pointer}</code>`}</a>: ${detail}</li>`)}</ul>`,
  );
}

export function prettyText(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), undefined, 2);
  } catch {
    return body;
  }
}

/** The member that the pointer names, or the object that lacks it, is marked. */
function marked(text: string, pointer: string): Markup {
  const name = pointer.split('/').at(-1)?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
  const quoted = JSON.stringify(name);
  const depth = pointer.split('/').length - 1;
  const lines = text.split('\n');
  const found =
    name === '' ? -1 : lines.findIndex((line) => line.startsWith(`${'  '.repeat(depth)}${quoted}:`));
  if (found < 0) {
    return html`${text}`;
  }
  const [before, at, after] = [lines.slice(0, found), lines[found] ?? '', lines.slice(found + 1)];
  return html`${before.map(
    (line) => html`${line}
`,
  )}<mark>${at}</mark>
${after.join('\n')}`;
}

export function reasonName(reason: string): string {
  return sentenceCase(
    reason.replaceAll('-', ' ').replace('json', 'JSON').replace('dps', 'DPS').replace(' ca', ' CA'),
  );
}

function isFiltered({ reason, source, since, until }: RejectedFilter): boolean {
  return [reason, source, since, until].some((each) => each !== undefined);
}
