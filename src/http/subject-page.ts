import type { SubjectRef } from '../enrollment/subject-state.ts';
import type { eventStatus } from './event-status.ts';
import { html, type Markup, page, timeText } from './html.ts';
import type { SubjectDocument } from './subject-document.ts';

type Status = ReturnType<typeof eventStatus>;

/** Should be, is, did: one device or batch for people. */
export function subjectPage(subject: SubjectRef, document: SubjectDocument): string {
  const kind = subject.kind === 'device' ? 'Device' : 'Batch';
  const { shouldBe, is, did, notKnown } = document;
  const body = html`<h1>${kind} ${subject.id}</h1>
<p class="lead">${lead(document)}</p>
<div class="columns">
<section><h2>Should be</h2>${shouldBe ? facts(shouldBe) : html`<p>No event has spoken of it.</p>`}</section>
<section><h2>Is, in DPS</h2>${notKnown ? html`<p class="warn">${notKnown.detail}</p>` : is ? facts(is) : html`<p>${subject.kind === 'device' ? 'No individual enrollment.' : 'No enrollment group.'}</p>`}</section>
${subject.kind === 'device' ? html`<section><h2>Did</h2>${notKnown ? html`<p class="warn">Not known now.</p>` : did ? facts(did) : html`<p>It never registered.</p>`}</section>` : ''}
</div>
<h2>Events, newest first</h2>
${eventsTable(document.events)}`;
  return page(`${kind} ${subject.id}`, body);
}

function lead({ shouldBe, notKnown }: SubjectDocument): Markup {
  if (!shouldBe) return html`Known to DPS, but no event has spoken of it.`;
  if (notKnown)
    return html`<span class="warn">DPS could not be read</span>: what is shown here comes from the events alone.`;
  if (shouldBe.inSync) return html`<span class="good">In sync</span>: DPS agrees with the events.`;
  return html`<span class="warn">Not in sync yet</span>: DPS does not agree with the events so far.`;
}

function facts(object: object): Markup {
  const rows = Object.entries(object)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => html`<tr><th>${name}</th><td>${shown(value)}</td></tr>`);
  return html`<table>${rows}</table>`;
}

function shown(value: unknown): unknown {
  if (typeof value !== 'object' || value === null)
    return html`<span class="${value === 'disabled' || value === 'enabled' ? value : ''}">${value}</span>`;
  return html`<pre>${JSON.stringify(value, null, 2)}</pre>`;
}

function eventsTable(events: readonly Status[]): Markup {
  if (events.length === 0) return html`<p>None.</p>`;
  const rows = events.map(
    (
      event,
    ) => html`<tr><td>${timeText(event.time)}</td><td>${event.type}</td><td class="${event.status}">${event.status}</td>
<td>${event.reason}${event.detail ? html`<br>${event.detail}` : ''}${event.nextAttemptAt ? html`<br>next attempt ${timeText(event.nextAttemptAt)}` : ''}${event.warnings.join(', ')}</td>
<td>${event.source}<br><code>${event.id}</code></td></tr>`,
  );
  return html`<div class="scroll"><table><tr><th>Time</th><th>Type</th><th>Status</th><th></th><th>Source and id</th></tr>${rows}</table></div>`;
}
