import type { LoggedRequest } from './request-log.ts';
import type { Service } from './service.ts';
import type { EmulatorState, StoredEnrollment, StoredRegistration } from './state.ts';

const shown = 50;
const shownPath = 60;

const pageStyle = `
  :root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #107c41; --bad: #c42b1c; }
  @media (prefers-color-scheme: dark) { :root { --good: #6ccb8f; --bad: #ff8f85; } }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 72rem; }
  h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
  p { margin: .25rem 0; } .soft { opacity: .7; }
  .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
  th { font-weight: 600; font-size: .85rem; } tbody tr:hover { background: var(--soft); }
  code, .mono { font-family: ui-monospace, monospace; font-size: .88em; }
  .good { color: var(--good); } .bad { color: var(--bad); }`;

/** The page for people: what is there and what was asked lately. Shows no key and no token. */
export function peoplePage({ state, log, idScope }: Service): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>DPS emulator</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>DPS emulator</h1>
<p class="soft">Id scope <code>${escapeHtml(idScope)}</code>, hubs ${state.configuration.hubs.map(({ hostName }) => `<code>${escapeHtml(hostName)}</code>`).join(', ') || 'none'}.
Reload to see what is new.</p>
</header>
<main>
${section(
  'Individual enrollments',
  state.individual.size,
  ['Registration id', 'Device id', 'Attestation', 'Provisioning', 'Registration', 'Last updated (UTC)'],
  state.individual.newest(shown).map((enrollment) => enrollmentRow(enrollment, state)),
)}
${section(
  'Enrollment groups',
  state.group.size,
  ['Group id', 'Attestation', 'Provisioning', 'Registrations', 'Last updated (UTC)'],
  state.group.newest(shown).map((group) => groupRow(group, state)),
)}
${section(
  'Registrations',
  state.registrations.size,
  ['Registration id', 'Status', 'Hub', 'Device id', 'Group', 'Last updated (UTC)'],
  state.registrations.newest(shown).map((registration) => registrationRow(registration, state)),
)}
${section('Recent requests', undefined, ['Time (UTC)', 'Status', 'Operation', 'Method', 'Path'], log.recent().map(requestRow))}
</main>
</body>
</html>`;
}

function section(
  title: string,
  count: number | undefined,
  columns: readonly string[],
  rows: readonly string[],
): string {
  const total = count === undefined ? '' : ` <span class="soft">${count.toLocaleString('en')}</span>`;
  const note =
    count !== undefined && count > rows.length ? `<p class="soft">The newest ${rows.length}.</p>` : '';
  const head = columns.map((column) => `<th scope="col">${column}</th>`).join('');
  const table = `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
  return `<section><h2>${title}${total}</h2>${note}${rows.length === 0 ? '<p class="soft">None yet.</p>' : table}</section>`;
}

function enrollmentRow({ key, text }: StoredEnrollment, state: EmulatorState): string {
  const { registrationId, deviceId, attestation, provisioningStatus, lastUpdatedDateTimeUtc } =
    JSON.parse(text);
  const registration = state.registrations.get(key)?.status ?? 'unassigned';
  return row([
    mono(registrationId),
    mono(deviceId ?? ''),
    escapeHtml(attestation.type),
    status(provisioningStatus ?? 'enabled'),
    status(registration),
    time(lastUpdatedDateTimeUtc),
  ]);
}

function groupRow({ key, text }: StoredEnrollment, state: EmulatorState): string {
  const { enrollmentGroupId, attestation, provisioningStatus, lastUpdatedDateTimeUtc } = JSON.parse(text);
  return row([
    mono(enrollmentGroupId),
    escapeHtml(attestation.type),
    status(provisioningStatus ?? 'enabled'),
    state.registrationsOf(key).size.toLocaleString('en'),
    time(lastUpdatedDateTimeUtc),
  ]);
}

function registrationRow(registration: StoredRegistration, state: EmulatorState): string {
  const group = registration.groupKey === undefined ? '' : groupIdOf(registration.groupKey, state);
  const why = registration.errorMessage ?? registration.substatus ?? '';
  const isAssigned = registration.status === 'assigned';
  return row([
    mono(registration.registrationId),
    `${status(registration.status)} <span class="soft">${escapeHtml(registration.status === 'disabled' ? '' : why)}</span>`,
    mono(isAssigned ? (registration.assignedHub ?? '') : ''),
    mono(isAssigned ? (registration.deviceId ?? '') : ''),
    mono(group),
    time(registration.lastUpdatedDateTimeUtc),
  ]);
}

/** A group that was deleted is known by its key only. */
function groupIdOf(key: string, state: EmulatorState): string {
  const group = state.group.get(key);
  return group === undefined ? key : JSON.parse(group.text).enrollmentGroupId;
}

function requestRow({ at, status: code, method, path, operation }: LoggedRequest): string {
  const tone = typeof code === 'number' && code < 400 ? 'good' : 'bad';
  return row([
    time(new Date(at).toISOString()),
    `<span class="${tone}">${code}</span>`,
    escapeHtml(operation ?? ''),
    escapeHtml(method),
    mono(path.length > shownPath ? `${path.slice(0, shownPath)}…` : path),
  ]);
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

function status(name: string): string {
  const tone = { enabled: 'good', assigned: 'good', disabled: 'bad', failed: 'bad' }[name] ?? 'soft';
  return `<span class="${tone}">${escapeHtml(name)}</span>`;
}

function mono(text: string): string {
  return `<span class="mono">${escapeHtml(text)}</span>`;
}

function time(iso: string): string {
  return `<time datetime="${escapeHtml(iso)}">${escapeHtml(iso.slice(0, 19).replace('T', ' '))}</time>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
