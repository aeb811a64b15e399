import { html, type Markup } from './html.ts';
import type { HttpResponse } from './http-response.ts';
import { pageHeaders, pageText, type Section } from './pages/layout.ts';
import { problemPage } from './pages/problem-page.ts';
import type { Viewer } from './sign-in.ts';

/** What a page is asked for, and by whom. */
export interface PageRequest {
  readonly query: URLSearchParams;
  readonly viewer: Viewer;
  /** Said on top of the page: what became of a form. */
  readonly said?: Markup;
}

/** A page of the fleet, in its frame. */
export function page(
  title: string,
  section: Section,
  viewer: Viewer,
  body: Markup,
  said?: Markup,
  query?: string,
): HttpResponse {
  const whole = said ? html`${said}${body}` : body;
  return {
    status: 200,
    headers: pageHeaders,
    body: pageText({ title, section, viewer, body: whole, ...(query === undefined ? {} : { query }) }),
  };
}

export function notFoundPage(viewer: Viewer, line: string, href: string, name: string): HttpResponse {
  return problemPage(404, 'Not found', line, {
    viewer,
    icon: 'search',
    more: html`<a class="button" href="${href}">${name}</a>`,
  });
}
