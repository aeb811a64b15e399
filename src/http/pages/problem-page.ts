import { html, type Markup } from '../html.ts';
import type { HttpResponse } from '../http-response.ts';
import type { Viewer } from '../sign-in.ts';
import type { IconName } from './icons.ts';
import { pageHeaders, pageText } from './layout.ts';
import { type Content, empty } from './parts.ts';

/** A page that says what went wrong, and what to do. */
export function problemPage(
  status: number,
  title: string,
  line: Content,
  {
    viewer = { kind: 'key' },
    icon = 'info',
    more,
  }: { viewer?: Viewer; icon?: IconName; more?: Content } = {},
): HttpResponse {
  const body: Markup = html`<h1 class="vh">${title}</h1>${empty(icon, title, line, more)}`;
  return { status, headers: pageHeaders, body: pageText({ title, viewer, body, foot: '' }) };
}
