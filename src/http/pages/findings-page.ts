import type { Changes } from '../../audit/audit-run.ts';
import type { RunLine } from '../../audit/audit-store.ts';
import type { StoredFinding } from '../../audit/finding-changes.ts';
import { html, type Markup } from '../html.ts';
import { codesByWeight, severityOf } from './finding-order.ts';
import { count, counted, moment } from './numbers.ts';
import {
  address,
  batchLink,
  card,
  csvLinks,
  deviceLink,
  empty,
  idText,
  numberLink,
  pageHead,
  pager,
  table,
  tag,
} from './parts.ts';
import { findingWords } from './words.ts';

export const shows = ['open', 'new', 'back', 'still', 'resolved'] as const;
export type Show = (typeof shows)[number];

const showNames: Readonly<Record<Show, string>> = {
  open: 'Open',
  new: 'New',
  back: 'Came back',
  still: 'Still open',
  resolved: 'Resolved',
};

export interface FindingsContent {
  readonly run: RunLine;
  readonly changes: Changes | undefined;
  readonly show: Show;
  readonly code: string | undefined;
  readonly findings: readonly StoredFinding[];
  readonly isFirst: boolean;
  /** The address of the next page, if there is more. */
  readonly next: string | undefined;
  readonly pageSize: number;
  readonly batchIds: ReadonlySet<string>;
}

/** What is wrong, what it means, and what to do. */
export function findingsBody(content: FindingsContent): Markup {
  const { run, changes, show, code } = content;
  const parameters = { run: run.id, since: changes?.since.id, code, show };
  const line = html`Audit of ${moment(run.finishedAt ?? run.startedAt)}${changes ? html`, compared with that of ${moment(changes.since.finishedAt)}` : ''}.`;
  return html`${pageHead(code === undefined ? 'Findings' : findingWords(code).name, line, csvLinks('/fleet/findings', parameters), code === undefined ? undefined : html`<a href="${address('/fleet/findings', { run: run.id, since: changes?.since.id })}">Findings</a>`)}
${chips(content)}
${code === undefined ? codes(content) : meaning(code)}
${rows(content)}`;
}

function chips({ run, changes, show, code }: FindingsContent): Markup {
  const available = changes ? shows : (['open'] as const);
  const of = (which: Show): number => {
    const one = code === undefined ? undefined : changes?.byCode[code];
    switch (which) {
      case 'open':
        return code === undefined ? (run.counts?.open ?? 0) : (run.counts?.byCode[code] ?? 0);
      case 'new':
        return code === undefined ? (changes?.new ?? 0) : (one?.new ?? 0);
      case 'back':
        return code === undefined ? (changes?.cameBack ?? 0) : (one?.cameBack ?? 0);
      case 'still':
        return code === undefined ? (changes?.stillOpen ?? 0) : (one?.now ?? 0) - (one?.new ?? 0);
      default:
        return code === undefined ? (changes?.resolved ?? 0) : (one?.resolved ?? 0);
    }
  };
  return html`<nav class="chips" aria-label="Which findings">${available.map(
    (which) =>
      html`<a class="chip" href="${address('/fleet/findings', { run: run.id, since: changes?.since.id, code, show: which })}"${which === show ? html` aria-current="true"` : ''}>${showNames[which]} ${count(of(which))}</a>`,
  )}</nav>`;
}

function codes({ run, changes }: FindingsContent): Markup {
  const sorted = codesByWeight(run.counts?.byCode ?? {}, changes);
  if (sorted.length === 0) {
    return html``;
  }
  const link = (code: string) => address('/fleet/findings', { run: run.id, since: changes?.since.id, code });
  return card(
    'By kind',
    undefined,
    table({
      caption: 'Kinds of findings',
      columns: [
        { name: 'Finding', className: 'full' },
        { name: 'What to do', className: 'full later' },
        { name: 'Open', className: 'num' },
        { name: 'New', className: 'num' },
      ],
      rows: sorted.map((code) => [
        html`${tag(severityOf(code), severityOf(code) === 'critical' ? 'Critical' : 'Warning')} <a href="${link(code)}">${findingWords(code).name}</a><small>${findingWords(code).means}</small>`,
        findingWords(code).next,
        numberLink(run.counts?.byCode[code] ?? 0, link(code), findingWords(code).name),
        numberLink(
          changes?.byCode[code]?.new ?? 0,
          `${link(code)}&show=new`,
          `new: ${findingWords(code).name}`,
        ),
      ]),
    }),
  );
}

function meaning(code: string): Markup {
  const { means, next, of } = findingWords(code);
  const list =
    of === 'devices'
      ? html`<p><a class="button" href="${address('/fleet/devices', { finding: code })}">The devices, as a list to filter</a></p>`
      : '';
  return card(
    'What it means',
    undefined,
    html`<div class="prose"><p>${means}</p><p><b>Next:</b> ${next}</p><p class="small dim">Code: <code>${code}</code></p>${list}</div>`,
  );
}

function rows({
  findings,
  show,
  code,
  next,
  isFirst,
  pageSize,
  run,
  changes,
  batchIds,
}: FindingsContent): Markup {
  if (findings.length === 0 && next === undefined) {
    const what = code === undefined ? 'finding' : `finding of the kind ${findingWords(code).name}`;
    return empty(
      'good',
      `No ${showNames[show].toLowerCase()} ${what}`,
      'The audit has looked at every device and group.',
    );
  }
  const subject = (finding: StoredFinding) => {
    const { of } = findingWords(finding.code);
    const sum = run.counts?.summedUp?.[finding.code];
    if (sum) {
      return html`<a href="${address('/fleet/devices', { finding: finding.code })}">${counted(sum.count, 'subject')}</a>`;
    }
    if (batchIds.has(finding.subject)) {
      return batchLink(finding.subject);
    }
    return of === 'devices' ? deviceLink(finding.subject) : idText(finding.subject);
  };
  const first = isFirst
    ? undefined
    : address('/fleet/findings', { run: run.id, since: changes?.since.id, code, show });
  return card(
    showNames[show],
    undefined,
    html`${table({
      caption: `${showNames[show]} findings`,
      columns: [
        { name: 'Device or batch', className: 'full' },
        { name: 'Finding', className: 'full' },
        { name: 'Detail', className: 'full' },
        { name: 'Since' },
        { name: show === 'resolved' ? 'Resolved' : 'Last seen' },
      ],
      rows: findings.map((finding) => [
        subject(finding),
        html`${tag(toneOf(finding.severity), findingWords(finding.code).name)}`,
        html`<span class="detail">${finding.detail}</span>`,
        run.counts?.summedUp?.[finding.code] ? '' : moment(finding.firstSeen, 'cell'),
        moment(show === 'resolved' ? finding.resolvedAt : finding.lastSeen, 'cell'),
      ]),
      className: 'findings',
    })}${pager(next === undefined ? counted(findings.length, 'row') : `${counted(findings.length, 'row')}, and more`, first, next, pageSize)}`,
    'long',
  );
}

function toneOf(severity: string): 'critical' | 'warning' | 'info' {
  return severity === 'critical' || severity === 'info' ? severity : 'warning';
}
