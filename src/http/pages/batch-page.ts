import type { EnrollmentGroup } from '../../dps/models.ts';
import { isInSync, type MembersAccess } from '../../enrollment/ledger/subject-state.ts';
import type { FleetSummary, Tally } from '../../fleet/fleet-summary.ts';
import type { ListedEntry } from '../../fleet/index-rows.ts';
import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import type { SubjectView } from '../subject-view.ts';
import { certificates, comparison } from './comparison.ts';
import { dpsNotice, findings } from './device-page.ts';
import { diagnosisOf } from './diagnosis.ts';
import { actionsCard } from './forms.ts';
import { stateOf } from './list-tables.ts';
import { count, moment, share } from './numbers.ts';
import { partsOf } from './overview-tables.ts';
import {
  address,
  batchAddress,
  type Content,
  card,
  csvLinks,
  deviceLink,
  facts,
  figures,
  idText,
  inShort,
  numberLink,
  pageHead,
  table,
  tag,
} from './parts.ts';
import { legend, splitBar } from './plots.ts';
import { timeline } from './timeline.ts';
import { conditionFilters, conditionNames, findingWords, lifeNames } from './words.ts';

export interface BatchContent {
  readonly view: SubjectView;
  readonly viewer: Viewer;
  /** Of the newest audit, where its summary had room. */
  readonly tally: Tally | undefined;
  readonly auditedAt: string | undefined;
  /** Some of its devices. */
  readonly devices: readonly ListedEntry[];
  readonly hasMore: boolean;
  /** With HUB_ACCESS=close. */
  readonly closesHubs: boolean;
}

/** How a batch is doing. */
export function batchBody(content: BatchContent): Markup {
  const { view, viewer, tally, auditedAt, devices, hasMore, closesHubs } = content;
  const { subject, state, events, entry, desired, dps } = view;
  const { tone, sentence, next } = diagnosisOf(view);
  const definition = state?.registers.definitions[0]?.definition;
  const written = events[0]?.subject ?? subject.id;
  const list = (more: Readonly<Record<string, string>> = {}) =>
    address('/fleet/devices', { life: 'manufactured', batch: written, ...more });
  return html`${pageHead(html`Batch ${idText(written)}`, definition?.product, html`${csvLinks('/fleet/devices', { batch: written })}${viewer.kind === 'person' ? html`<a class="button" href="${batchAddress(written)}/labels">Labels</a>` : ''}`, html`<a href="/fleet/batches">Batches</a>`)}
${inShort(tone, sentence, next)}
${dpsNotice(view)}
${tally ? batchFigures(tally, list) : ''}
<div class="two side"><div class="stack">
${findings(view)}
${tally ? statesCard(tally, auditedAt, written, list) : ''}
${devicesCard(devices, hasMore, list())}
${
  desired.kind === 'group'
    ? card(
        'Should be, and is',
        'What its events and its profile say, beside its enrollment group in DPS.',
        comparison(desired.group, dps.enrollment, view.differing, dps.unavailable === undefined),
      )
    : dps.enrollment
      ? card('In DPS', undefined, comparison(undefined, dps.enrollment, []))
      : ''
}
${card('Its story', 'Newest first.', timeline(view), 'long')}
</div><div class="stack">
${actionsCard({
  viewer,
  address: batchAddress(subject.id),
  what: 'batch',
  isHeld: state?.registers.hold?.held === true,
  isPending: state !== undefined && !isInSync(state),
  closesHubs,
})}
${card(
  'About it',
  undefined,
  facts([
    ['Batch id', idText(subject.id)],
    ['Lifecycle', lifeNames[entry?.ledger.life ?? '']],
    ['Started', moment(entry?.ledger.definedAt)],
    ["Its devices' hubs", state?.members && hubsText(state.members)],
    ...Object.entries(entry?.ledger.labels ?? {}).map(([name, value]): readonly [string, Content] => [
      name,
      value,
    ]),
  ]),
)}
${certificateCard(dps.enrollment as EnrollmentGroup | undefined)}
</div></div>`;
}

function hubsText({ wanted, isDone, isLook, done, unknown }: MembersAccess): string {
  const notKnown = unknown === 0 ? '' : `; of ${count(unknown)} it is not known`;
  if (isDone || isLook) {
    return `${wanted === 'closed' ? 'closed' : 'open'}${notKnown}`;
  }
  return `${wanted === 'closed' ? 'being closed' : 'being opened'}, ${count(done)} devices so far${notKnown}`;
}

type ListAddress = (more?: Readonly<Record<string, string>>) => string;

function batchFigures(tally: Tally, list: ListAddress): Markup {
  const of = (condition: keyof Tally['conditions']) => tally.conditions[condition] ?? 0;
  const link = (condition: keyof Tally['conditions']) =>
    numberLink(of(condition), list(conditionFilters[condition]), conditionNames[condition]);
  return figures([
    { name: 'Devices', value: numberLink(tally.devices, list(), 'devices') },
    { name: 'Assigned', value: link('assigned'), more: share(of('assigned'), tally.devices) },
    { name: 'Not switched on yet', value: link('waiting') },
    { name: 'Never registered', value: link('overdue') },
    { name: 'Failed', value: link('failed') },
    { name: 'Held', value: link('held') },
  ]);
}

function statesCard(tally: Tally, auditedAt: string | undefined, name: string, list: ListAddress): Markup {
  const parts = partsOf(tally).filter(({ value }) => value > 0);
  const found = Object.entries(tally.findings).sort(([, left], [, right]) => right - left);
  const rows = found.map(([code, devices]) => [
    html`<a href="${list({ finding: code })}">${findingWords(code).name}</a><small>${findingWords(code).means}</small>`,
    numberLink(devices, list({ finding: code }), findingWords(code).name),
  ]);
  return card(
    'Its devices',
    html`As the audit of ${moment(auditedAt)} saw them.`,
    html`${splitBar(parts, name)}${legend(parts.map(({ fill, name: of }) => [fill, of] as const))}${
      rows.length === 0
        ? html`<p>No device of it has a finding.</p>`
        : table({
            caption: 'Findings of its devices',
            columns: [
              { name: 'Finding', className: 'full' },
              { name: 'Devices', className: 'num' },
            ],
            rows,
          })
    }`,
  );
}

function devicesCard(devices: readonly ListedEntry[], hasMore: boolean, href: string): Markup {
  if (devices.length === 0) {
    return card(
      'Devices',
      undefined,
      html`<p class="dim">No event has named a device of this batch yet.</p>`,
    );
  }
  return card(
    'Devices',
    undefined,
    html`${table({
      caption: 'Devices of the batch',
      columns: [
        { name: 'Device', className: 'full' },
        { name: 'State' },
        { name: 'Findings', className: 'full' },
        { name: 'Registered' },
      ],
      rows: devices.map((entry) => [
        deviceLink(entry.id),
        stateOf(entry),
        entry.findings.length === 0
          ? ''
          : html`${entry.findings.map((code) => html`${tag('warning', findingWords(code).name)} `)}`,
        moment(entry.registeredAt, 'cell'),
      ]),
    })}<p><a class="button" href="${href}">${hasMore ? 'All its devices' : 'As a list to filter'}</a></p>`,
    'long',
  );
}

function certificateCard(group: EnrollmentGroup | undefined): Markup {
  const shown = certificates(group?.attestation);
  return shown ? card('Its signing certificates in DPS', undefined, shown) : html``;
}

export function tallyOf(summary: FleetSummary | undefined, id: string): Tally | undefined {
  return Object.entries(summary?.batches ?? {}).find(([name]) => name.toLowerCase() === id)?.[1];
}
