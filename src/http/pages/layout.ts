import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import { icon, iconDefinitions } from './icons.ts';

export type Section = 'overview' | 'findings' | 'devices' | 'batches' | 'rejected' | 'status';

const sections: readonly (readonly [Section, string, string])[] = [
  ['overview', '/fleet', 'Overview'],
  ['findings', '/fleet/findings', 'Findings'],
  ['devices', '/fleet/devices', 'Devices'],
  ['batches', '/fleet/batches', 'Batches'],
  ['rejected', '/fleet/rejected', 'Rejected'],
  ['status', '/fleet/status', 'Status'],
];

export interface PageContent {
  readonly title: string;
  readonly section?: Section;
  readonly viewer: Viewer;
  readonly body: Markup;
  /** What is in the search field. */
  readonly query?: string;
  readonly foot?: string;
}

const usualFoot =
  'Times are UTC. Counts are those of the audit that the page names; the page of a device is current.';

/** A whole page, under the one navigation. It loads three files of ours, and nothing else from anywhere. */
export function pageText({
  title,
  section,
  viewer,
  body,
  query = '',
  foot = usualFoot,
}: PageContent): string {
  const links = sections.map(
    ([name, address, text]) =>
      html`<li><a href="${address}"${current(name === section)}>${icon(name)}<span>${text}</span></a></li>`,
  );
  const content = html`<header class="top"><div class="bar"><a class="brand" href="/fleet">${icon('logo')}Fleet</a>
<nav class="nav" aria-label="Fleet"><ul>${links}</ul></nav>
<form class="find" role="search" action="/fleet/devices"><label class="vh" for="find">Find a device by the beginning of its id or of a label</label>${icon('search')}<input id="find" name="q" type="search" value="${query}" placeholder="Device id or serial" autocomplete="off" spellcheck="false" maxlength="256"></form>
${who(viewer)}</div></header>
<main id="main" tabindex="-1">
${body}
<p class="vh" role="status" id="said"></p>
</main>
<footer class="foot"><p>${foot}</p></footer>`;
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title} – Fleet</title>
<link rel="stylesheet" href="/fleet/assets/fleet.css"><link rel="icon" href="/fleet/assets/icon.svg" type="image/svg+xml"><script src="/fleet/assets/fleet.js" defer></script></head>
<body>
<a class="skip" href="#main">Skip to content</a>
${iconDefinitions(content.text)}
${content}
</body>
</html>
`.text;
}

/** Nothing runs and nothing is loaded but what we serve; nobody frames a page, and no form goes elsewhere. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

function current(is: boolean): Markup | undefined {
  return is ? html` aria-current="page"` : undefined;
}

function who(viewer: Viewer): Markup | undefined {
  if (viewer.kind !== 'person') {
    return undefined;
  }
  return html`<p class="who"><b>${viewer.name}</b> <a href="/.auth/logout?post_logout_redirect_uri=/fleet">Sign out</a></p>`;
}
