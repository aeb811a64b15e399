import { html, type Markup } from '../html.ts';
import type { Viewer } from '../sign-in.ts';
import { type Content, card } from './parts.ts';

/** Who may not act sees no forms. */
export function mayOperate(viewer: Viewer): boolean {
  return viewer.kind === 'person' && viewer.roles.has('Fleet.Operate');
}

export interface ActionContent {
  readonly summary: string;
  readonly action: string;
  readonly fields: Content;
  readonly button: string;
  readonly isDangerous?: boolean;
}

/** A form that opens on a click; sent twice, it is one event: `id` names it. */
export function actionForm({ summary, action, fields, button, isDangerous = false }: ActionContent): Markup {
  return html`<details><summary>${summary}</summary><form class="act" method="post" action="${action}">${fields}<input type="hidden" name="id" value="${crypto.randomUUID()}"><div><button class="${isDangerous ? 'danger' : 'primary'}">${button}</button></div></form></details>`;
}

export function reasonField(id: string): Markup {
  return html`<div><label for="${id}">Reason</label><input id="${id}" name="reason" required maxlength="256" autocomplete="off" aria-describedby="${id}-hint"><span class="hint" id="${id}-hint">Kept with your name, and shown wherever the hold is.</span></div>`;
}

export interface SubjectActions {
  readonly viewer: Viewer;
  readonly address: string;
  readonly what: 'device' | 'batch';
  readonly isHeld: boolean;
  readonly isPending: boolean;
  /** With HUB_ACCESS=close. */
  readonly closesHubs: boolean;
}

/** What an operator can do with a device or batch: each is an event like any other, or a retry. */
export function actionsCard({
  viewer,
  address,
  what,
  isHeld,
  isPending,
  closesHubs,
}: SubjectActions): Markup {
  if (!mayOperate(viewer)) {
    return html``;
  }
  const retry = isPending
    ? html`<form method="post" action="${address}/retry"><input type="hidden" name="id" value="${crypto.randomUUID()}"><button class="primary">Retry now</button></form>`
    : '';
  const hold = isHeld
    ? actionForm({
        summary: `Release this ${what}`,
        action: `${address}/release`,
        fields: html`<p>It can register again${closesHubs ? ', and its hub lets it in again' : ''}.</p>`,
        button: 'Release',
      })
    : actionForm({
        summary: `Hold this ${what}`,
        action: `${address}/hold`,
        fields: html`<p>${what === 'device' ? 'It cannot register until it is released.' : 'No device of it can register until it is released.'} ${closesHubs ? 'What is connected to a hub is disconnected.' : 'What is connected to a hub stays connected.'}</p>${reasonField('hold-reason')}`,
        button: 'Hold',
        isDangerous: true,
      });
  return card('What you can do', undefined, html`${retry}<div class="acts-list">${hold}</div>`, 'no-print');
}

/** Who may fetch what the line writes into the device; everybody may print its label. */
export function credentialsCard(viewer: Viewer, address: string, areServed: boolean): Markup {
  if (viewer.kind !== 'person') {
    return html``;
  }
  const mayFetch = areServed && viewer.roles.has('Fleet.Credentials');
  const form = mayFetch
    ? actionForm({
        summary: 'Fetch its credentials',
        action: `${address}/credentials`,
        fields: html`<p>The keys that the line writes into it. That you asked is kept in its history.</p>`,
        button: 'Fetch credentials',
        isDangerous: true,
      })
    : '';
  const withKey = mayFetch
    ? html` <a class="button" href="${address}/label?key=1">Label with its key</a>`
    : '';
  return card(
    'For the line',
    undefined,
    html`<p class="acts"><a class="button" href="${address}/label">Label</a>${withKey}</p>${form === '' ? '' : html`<div class="acts-list">${form}</div>`}`,
    'no-print',
  );
}
