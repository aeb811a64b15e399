import { StorageUnavailableError } from '../storage/tables.ts';
import type { CredentialsPages } from './credentials-pages.ts';
import type { Done, FleetForms, Sent } from './fleet-forms.ts';
import type { FleetPages } from './fleet-pages.ts';
import { html, type Markup } from './html.ts';
import type { HttpResponse } from './http-response.ts';
import type { PageRequest } from './page-response.ts';
import { notFoundPage } from './page-response.ts';
import { asset } from './pages/assets.ts';
import { batchAddress, deviceAddress, notice, type Tone } from './pages/parts.ts';
import { problemPage } from './pages/problem-page.ts';
import type { Request } from './request.ts';
import { type FleetRole, isFromOurPages, type Person, type SignInSettings, signedIn } from './sign-in.ts';

const longestForm = 512 * 1024;

const doneWords: Readonly<Record<Done, readonly [Tone, string]>> = {
  held: ['good', 'Held: DPS lets it in no more.'],
  released: ['good', 'Released: it can register again.'],
  sent: ['good', 'The copy was taken and applied.'],
  accepted: [
    'info',
    'Accepted, and not confirmed yet: it is in the queue. Its story below shows what becomes of it.',
  ],
  replayed: ['good', 'Replayed: it is evaluated anew in a moment.'],
  'nothing-replayed': ['warning', 'Nothing was replayed: choose events that can be, and were not yet.'],
  retried: ['good', 'Tried again: nothing waits any more.'],
  'still-waiting': ['warning', 'Tried again, and it still waits. It is tried again by itself.'],
  'audit-started': ['good', 'An audit has started. Its findings appear when it has finished.'],
  'audit-running': ['info', 'An audit is in progress already.'],
};

/** `/fleet/…`: who may see or do what, then the page or the form. */
export class FleetSite {
  readonly #pages: FleetPages;
  readonly #forms: FleetForms;
  readonly #credentials: CredentialsPages;
  readonly #settings: SignInSettings;

  constructor(pages: FleetPages, forms: FleetForms, credentials: CredentialsPages, settings: SignInSettings) {
    this.#pages = pages;
    this.#forms = forms;
    this.#credentials = credentials;
    this.#settings = settings;
  }

  async answer(request: Request): Promise<HttpResponse> {
    const url = new URL(request.url);
    const path = pathOf(url);
    if (path[0] === 'assets') {
      return (
        (await asset(path[1] ?? '')) ??
        notFoundPage({ kind: 'key' }, 'There is no such file.', '/fleet', 'Overview')
      );
    }
    const person = signedIn(request.headers, this.#settings);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (typeof person === 'string') {
      return isRead || person !== 'nobody' ? notSignedIn(person, url) : signInFirst();
    }
    const needed = isRead ? 'Fleet.Read' : roleToAct(path);
    if (!person.roles.has(needed)) {
      return forbidden(person, needed);
    }
    try {
      return isRead
        ? await this.#show(path, url, request, person)
        : await this.#act(path, url, request, person);
    } catch (error) {
      if (!(error instanceof StorageUnavailableError)) {
        throw error;
      }
      return tablesDown(person);
    }
  }

  #show(path: readonly string[], url: URL, asked: Request, viewer: Person): Promise<HttpResponse> {
    const query = url.searchParams;
    const done = query.get('done');
    const said = done !== null && Object.hasOwn(doneWords, done) ? saidOf(done as Done) : undefined;
    const request: PageRequest = { query, viewer, ...(said ? { said } : {}) };
    const pages = this.#pages;
    const [section, id, ...more] = path;
    return pages.guarded(viewer, async () => {
      if (id !== undefined && more.length === 1) {
        return this.#showLabels(`${section}/${more[0]}`, id, asked, viewer);
      }
      if (more.length > 0) {
        return nowhere(viewer);
      }
      switch (section) {
        case undefined:
          return pages.overview(request);
        case 'findings':
          return id === undefined ? pages.findings(request) : nowhere(viewer);
        case 'devices':
          return id === undefined ? pages.list('device', request) : pages.device(id, request);
        case 'batches':
          return id === undefined ? pages.list('batch', request) : pages.batch(id, request);
        case 'rejected':
          return id === undefined ? pages.rejected(request) : pages.rejectedEvent(id, request);
        case 'status':
          return id === undefined ? pages.status(request) : nowhere(viewer);
        default:
          return nowhere(viewer);
      }
    });
  }

  async #showLabels(which: string, id: string, asked: Request, viewer: Person): Promise<HttpResponse> {
    switch (which) {
      case 'devices/label':
        return this.#credentials.label(id, viewer, asked);
      case 'batches/labels':
        return this.#credentials.sheet(id, viewer, asked);
      default:
        return nowhere(viewer);
    }
  }

  async #act(path: readonly string[], url: URL, request: Request, person: Person): Promise<HttpResponse> {
    if (!isFromOurPages(request.headers, request.url)) {
      return problemPage(
        403,
        'Not sent from here',
        'This form was not sent from a page of this site, so nothing was done. Open the page and send it from there.',
        { viewer: person, icon: 'lock' },
      );
    }
    const bytes = await request.body();
    if (bytes.length > longestForm) {
      return problemPage(413, 'Too much', 'The form is larger than 512 KB. Nothing was done.', {
        viewer: person,
        icon: 'warning',
      });
    }
    const fields = new URLSearchParams(new TextDecoder().decode(bytes));
    const [section, id = '', action] = path;
    if (section === 'devices' && action === 'credentials') {
      return this.#credentials.credentials(id, person, request);
    }
    if (section === 'devices' || section === 'batches') {
      const kind = section === 'devices' ? 'device' : 'batch';
      const back = kind === 'device' ? deviceAddress(id) : batchAddress(id);
      switch (action) {
        case 'hold':
          return after(await this.#forms.hold(kind, id, person, fields), back, person);
        case 'release':
          return after(await this.#forms.release(kind, id, person, fields), back, person);
        case 'retry':
          return redirect(back, await this.#forms.retry(kind, id));
        default:
          return nowhere(person);
      }
    }
    if (section === 'rejected' && id === 'replay' && action === undefined) {
      return redirect('/fleet/rejected', await this.#forms.replayKeys(fields.getAll('key')));
    }
    if (section === 'rejected' && action === 'send') {
      return this.#sendCopy(id, url, fields, person);
    }
    if (section === 'status' && id === 'retry' && action === undefined) {
      return redirect('/fleet/status', await this.#forms.retryAll());
    }
    if (section === 'audits' && id === '') {
      return redirect('/fleet/status', await this.#forms.startAudit());
    }
    return nowhere(person);
  }

  /** What is wrong with it is shown beside what was written. */
  async #sendCopy(key: string, url: URL, fields: URLSearchParams, viewer: Person): Promise<HttpResponse> {
    const text = fields.get('text') ?? '';
    const sent = await this.#forms.sendCopy(text, viewer, fields);
    if ('done' in sent) {
      return redirect('/fleet/rejected', sent.done);
    }
    const request: PageRequest = { query: url.searchParams, viewer };
    return this.#pages.guarded(viewer, () =>
      this.#pages.rejectedEvent(key, request, { text, errors: sent.mistakes }),
    );
  }
}

function roleToAct([section, , action]: readonly string[]): FleetRole {
  return section === 'devices' && action === 'credentials' ? 'Fleet.Credentials' : 'Fleet.Operate';
}

/** Below `/fleet`; ids may hold anything, an encoded slash included. */
function pathOf({ pathname }: URL): string[] {
  return pathname
    .split('/')
    .slice(2)
    .filter((part) => part !== '')
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

function after(sent: Sent, back: string, viewer: Person): HttpResponse {
  if ('done' in sent) {
    return redirect(back, sent.done);
  }
  const mistakes = html`<ul>${sent.mistakes.map(({ detail }) => html`<li>${detail}</li>`)}</ul>`;
  return problemPage(400, 'Not done', mistakes, {
    viewer,
    icon: 'warning',
    more: html`<a class="button" href="${back}">Back</a>`,
  });
}

/** After a form comes a page, so that loading it again repeats nothing. */
function redirect(path: string, done: Done): HttpResponse {
  return { status: 303, headers: { location: `${path}?done=${done}`, 'cache-control': 'no-store' } };
}

function saidOf(done: Done): Markup {
  const [tone, text] = doneWords[done];
  return notice(tone, html`<p>${text}</p>`);
}

function notSignedIn(why: 'nobody' | 'off' | 'unchecked', url: URL): HttpResponse {
  if (why === 'nobody') {
    const back = encodeURIComponent(`${url.pathname}${url.search}`);
    return {
      status: 302,
      headers: { location: `/.auth/login/aad?post_login_redirect_uri=${back}`, 'cache-control': 'no-store' },
    };
  }
  const line =
    why === 'off'
      ? 'The setting SIGN_IN is none, so nobody can sign in here. Set it to entra, with App Service authentication in front of the app. The API answers callers with keys all the same.'
      : 'The setting SIGN_IN is entra, but nothing in front of this app checks who signs in: WEBSITE_AUTH_ENABLED is not set by the platform. Turn on App Service authentication. Until then, nobody is believed.';
  return problemPage(why === 'off' ? 403 : 503, 'Pages are closed', line, { icon: 'lock' });
}

function signInFirst(): HttpResponse {
  return problemPage(
    401,
    'Signed out',
    'Your session has ended, so nothing was done. Sign in, and send the form again.',
    {
      icon: 'lock',
      more: html`<a class="button primary" href="/.auth/login/aad?post_login_redirect_uri=/fleet">Sign in</a>`,
    },
  );
}

function forbidden(person: Person, needed: FleetRole): HttpResponse {
  const line = html`You are signed in as ${person.name}, without the role <b>${needed}</b>. Ask whoever administers this application in Microsoft Entra ID to assign it to you: Enterprise applications, this application, Users and groups. Then sign out and in again.`;
  return problemPage(403, needed === 'Fleet.Read' ? 'You may not see this' : 'You may not do this', line, {
    viewer: person,
    icon: 'lock',
    more: html`<a class="button" href="/.auth/logout?post_logout_redirect_uri=/fleet">Sign out</a>`,
  });
}

function tablesDown(viewer: Person): HttpResponse {
  const answer = problemPage(
    503,
    'Table Storage does not answer',
    'Nothing can be shown now, and nothing is lost: events stay in the queue. Come again in a minute.',
    { viewer, icon: 'warning' },
  );
  return { ...answer, headers: { ...answer.headers, 'retry-after': '30' } };
}

function nowhere(viewer: Person): HttpResponse {
  return notFoundPage(viewer, 'There is no page at this address.', '/fleet', 'Overview');
}
