import type { AuditReport } from '../audit/audit-report.ts';
import { type ReportedFinding, severities } from '../audit/finding.ts';
import { html, type Markup, page, timeText } from './html.ts';

/** The report for the person who reads it on Monday: what is wrong first, then what was looked at. */
export function auditPage(report: AuditReport): string {
  const { findings, states, scanned } = report;
  const body = html`<h1>Provisioning audit</h1>
<p class="lead">${lead(report)}</p>
<p>${verdict(findings)}</p>
<div class="cards">${cards(states)}</div>
<h2>Findings</h2>${findingsTable(findings)}
<h2>What was looked at</h2>
<table>
<tr><th>Enrollment groups</th><td>${scanned.enrollmentGroups}</td></tr>
<tr><th>Registrations in groups</th><td>${scanned.groupRegistrations}</td></tr>
<tr><th>Individual enrollments</th><td>${scanned.individualEnrollments}</td></tr>
<tr><th>Registration states asked for one by one</th><td>${scanned.individualStates}</td></tr>
<tr><th>DPS operations</th><td>${report.operations}</td></tr>
</table>`;
  return page('Provisioning audit', body);
}

function lead({ status, startedAt, finishedAt, id }: AuditReport): Markup {
  if (status === 'finished') return html`Run ${id}, finished ${timeText(finishedAt)}`;
  return html`Run ${id}, started ${timeText(startedAt)}: <span class="warn">${status}</span>`;
}

function verdict(findings: readonly ReportedFinding[]): Markup {
  if (findings.length === 0) return html`<b class="good">Nothing is wrong.</b>`;
  const count = (severity: string) => findings.filter((finding) => finding.severity === severity).length;
  const parts = severities.filter((severity) => count(severity) > 0);
  return html`<b>${parts.map((severity, index) => html`${index > 0 ? ', ' : ''}<span class="${severity}">${count(severity)} ${severity}</span>`)}</b>`;
}

function cards(states: AuditReport['states']): Markup[] {
  const tone: Record<string, string> = { assigned: 'good', failed: 'bad', disabled: 'warn' };
  return Object.entries(states).map(
    ([name, count]) =>
      html`<div class="card"><b class="${count > 0 ? (tone[name] ?? '') : ''}">${count}</b><span>${name}</span></div>`,
  );
}

function findingsTable(findings: readonly ReportedFinding[]): Markup {
  if (findings.length === 0) return html`<p>None.</p>`;
  const rows = findings.map(
    (finding) => html`<tr><td class="${finding.severity}">${finding.severity}</td><td>${finding.code}</td>
<td><code>${finding.subject}</code></td><td>${finding.detail}</td><td>${timeText(finding.firstSeen)}</td></tr>`,
  );
  return html`<div class="scroll"><table><tr><th>Severity</th><th>Finding</th><th>Subject</th><th>What it means</th><th>Since</th></tr>${rows}</table></div>`;
}
