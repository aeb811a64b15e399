import type { IndividualEnrollment } from '../../dps/models.ts';
import { type HubAccess, isInSync } from '../../enrollment/ledger/subject-state.ts';
import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import type { SubjectView } from '../subject-view.ts';
import { certificates, comparison } from './comparison.ts';
import { closedBy, diagnosisOf } from './diagnosis.ts';
import { actionsCard, credentialsCard } from './forms.ts';
import { hubText, stateOf } from './list-tables.ts';
import { count, moment } from './numbers.ts';
import {
  address,
  batchLink,
  type Content,
  card,
  deviceAddress,
  facts,
  figures,
  idText,
  inShort,
  notice,
  pageHead,
  tag,
} from './parts.ts';
import { timeline } from './timeline.ts';
import { findingWords, lifeNames } from './words.ts';

/** For support, with a customer on the phone. */
export function deviceBody(
  view: SubjectView,
  viewer: Viewer,
  { areCredentialsServed, closesHubs }: { areCredentialsServed: boolean; closesHubs: boolean },
): Markup {
  const { subject, state, entry } = view;
  const { tone, sentence, next } = diagnosisOf(view);
  const written = view.events[0]?.subject ?? subject.id;
  const product = state?.registers.definitions[0]?.definition.product;
  return html`${pageHead(html`Device ${idText(written)}`, product, undefined, html`<a href="/fleet/devices">Devices</a>`)}
${inShort(tone, sentence, next)}
${dpsNotice(view)}
${deviceFigures(view)}
<div class="two side"><div class="stack">
${findings(view)}
${enrollmentCard(view)}
${card('Its story', 'Newest first.', timeline(view), 'long')}
</div><div class="stack">
${actionsCard({
  viewer,
  address: deviceAddress(subject.id),
  what: 'device',
  isHeld: state?.registers.hold?.held ?? entry?.ledger.held === true,
  isPending: state !== undefined && !isInSync(state),
  closesHubs,
})}
${state && state.registers.definitions.length > 0 ? credentialsCard(viewer, deviceAddress(subject.id), areCredentialsServed) : ''}
${about(view)}
${hubsCard(view)}
${groupCard(view)}
${certificateCard(view)}
</div></div>`;
}

export function dpsNotice({ dps, entry }: SubjectView): Markup {
  if (dps.unavailable === undefined) {
    return html``;
  }
  const since = entry?.audit ? html` Shown is what the audit of ${moment(entry.audit.auditedAt)} saw.` : '';
  return notice(
    'warning',
    html`<p><b>DPS cannot be read now.</b> ${dps.unavailable}${since} What the events say is current.</p>`,
  );
}

function deviceFigures({ dps, entry, state }: SubjectView): Markup {
  const record = dps.registration;
  const audit = entry?.audit;
  const hub = record?.assignedHub ?? (dps.unavailable === undefined ? undefined : audit?.hub);
  const registered =
    record?.lastUpdatedDateTimeUtc ?? (dps.unavailable === undefined ? undefined : audit?.registeredAt);
  const never: Content = html`<span class="dim">never</span>`;
  const { ledger } = entry ?? {};
  const shown = {
    life: ledger?.life ?? (state ? 'expected' : 'unknown'),
    held: state?.registers.hold?.held ?? ledger?.held === true,
    waiting: !record && audit?.waiting === true,
    findings: audit?.findings.map(({ code }) => code) ?? [],
    pending: state !== undefined && !isInSync(state),
    ...((record?.status ?? audit?.state)
      ? { state: statusOf(record?.status) ?? audit?.state ?? 'unassigned' }
      : {}),
  };
  return figures([
    { name: 'State', value: stateOf(shown), more: record?.substatus },
    { name: 'Hub', value: hub === undefined ? html`<span class="dim">none</span>` : hubText(hub), more: hub },
    {
      name: 'Registered last',
      value: registered === undefined ? never : moment(registered, 'day'),
      more: registered === undefined ? undefined : html`${moment(registered, 'clock')} UTC`,
    },
    {
      name: 'Manufactured',
      value:
        ledger?.definedAt === undefined ? html`<span class="dim">–</span>` : moment(ledger.definedAt, 'day'),
      more: lifeNames[ledger?.life ?? ''],
    },
  ]);
}

function statusOf(status: string | undefined) {
  const known = ['assigned', 'assigning', 'failed', 'disabled', 'unassigned'] as const;
  return known.find((each) => each === status);
}

export function findings({ entry }: SubjectView): Markup {
  const found = entry?.audit?.findings ?? [];
  if (found.length === 0) {
    return html``;
  }
  return card(
    'What the audit found',
    undefined,
    html`<ul class="found">${found.map(
      ({ code, severity, detail, since }) =>
        html`<li>${tag(severity === 'critical' || severity === 'info' ? severity : 'warning', findingWords(code).name)} <span class="dim small">since ${moment(since)}</span><p>${detail}</p></li>`,
    )}</ul>`,
  );
}

function enrollmentCard(view: SubjectView): Markup {
  const { desired, dps, differing } = view;
  const stored = dps.enrollment;
  switch (desired.kind) {
    case 'enrollment':
      return card(
        'Should be, and is',
        'What its events and its profile say, beside its individual enrollment in DPS.',
        comparison(desired.enrollment, stored, differing, dps.unavailable === undefined),
      );
    case 'member':
      return card(
        'Should be, and is',
        undefined,
        html`<p>It belongs to the enrollment group ${batchLink(desired.enrollmentGroupId)}, and should have no enrollment of its own.</p>${stored ? html`<p>${tag('warning', 'Differs')} DPS has an individual enrollment for it, which decides instead of the group:</p>${comparison(undefined, stored, [])}` : html`<p class="dim">It has none.</p>`}`,
      );
    case 'blocked':
      return card(
        'Should be, and is',
        undefined,
        html`<p>A disabled individual enrollment keeps it out of its group ${batchLink(desired.enrollmentGroupId)}.</p>${stored ? comparison(undefined, stored, []) : dps.unavailable === undefined ? html`<p>${tag('critical', 'Differs')} DPS has none: the group would let it in.</p>` : ''}`,
      );
    case 'no-enrollment':
      return card(
        'Should be, and is',
        undefined,
        html`<p>It should have no enrollment.</p>${stored ? html`<p>${tag('warning', 'Differs')} DPS has one again:</p>${comparison(undefined, stored, [])}` : html`<p class="dim">It has none.</p>`}`,
      );
    default:
      return stored
        ? card('In DPS', 'No event asks for this enrollment.', comparison(undefined, stored, []))
        : html``;
  }
}

function about({ subject, state, entry, profile, dps }: SubjectView): Markup {
  const definition = state?.registers.definitions[0]?.definition;
  const labels = Object.entries(entry?.ledger.labels ?? {});
  const listed = (parameters: Readonly<Record<string, string>>, text: string) =>
    html`<a href="${address('/fleet/devices', parameters)}">${text}</a>`;
  return card(
    'About it',
    undefined,
    facts([
      ['Registration id', idText(subject.id)],
      [
        'Device id',
        definition?.deviceId === undefined
          ? undefined
          : idText(dps.registration?.deviceId ?? definition.deviceId),
      ],
      [
        'Product',
        definition === undefined ? undefined : listed({ product: definition.product }, definition.product),
      ],
      [
        'Profile',
        profile === undefined
          ? undefined
          : profile.enrollment === 'individual'
            ? 'An enrollment of its own'
            : 'Through a group',
      ],
      ['Batch', definition?.batch === undefined ? undefined : batchLink(definition.batch)],
      ...labels.map(([name, value]): readonly [string, Content] => [
        name,
        listed({ label: `${name}:${value}` }, value),
      ]),
      ['Events', count(state ? state.revision : 0)],
    ]),
  );
}

/** What was closed there, and whether the hub has said that it is. */
function hubsCard({ state }: SubjectView): Markup {
  const hubs = state?.hubs ?? [];
  const said: Readonly<Record<HubAccess, Content>> = {
    open: html`${tag('good', 'Open')} It lets the device in.`,
    closed: html`${tag('warning', 'Closed')} It does not let the device in.`,
    pending: html`${tag('warning', 'Not known')} The hub has not said yet that it agrees.`,
  };
  return hubs.length === 0
    ? html``
    : card(
        'Its hubs',
        undefined,
        html`${hubs.map(({ hub, deviceId, access }) => html`<p>${idText(hub)}<br><span class="dim small">as ${idText(deviceId)}</span><br>${said[access]}</p>`)}`,
      );
}

function groupCard({ group }: SubjectView): Markup {
  if (!group) {
    return html``;
  }
  const state = group.state;
  const closed = state && closedBy(state);
  const said = !state
    ? 'It is managed elsewhere: no event has named it.'
    : closed
      ? html`${tag('warning', closed === 'is held' ? 'Held' : 'Closed')} It ${closed}: no member can register.`
      : html`${tag('good', 'Open')} Its devices can register.`;
  return card('Its group', undefined, html`<p>${batchLink(group.id)}</p><p>${said}</p>`);
}

function certificateCard({ dps, state }: SubjectView): Markup {
  const stored = certificates((dps.enrollment as IndividualEnrollment | undefined)?.attestation);
  if (stored) {
    return card('Its certificates in DPS', undefined, stored);
  }
  const leaf = state?.registers.leafCertificate?.certificate;
  const known =
    leaf === undefined
      ? undefined
      : certificates({ type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf } } } });
  return known ? card('Its certificate', 'As its newest event brought it.', known) : html``;
}
