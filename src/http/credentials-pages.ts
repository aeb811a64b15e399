import { DeviceProvisioningError } from '../dps/errors.ts';
import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import { CredentialsRefusedError } from '../enrollment/pipeline/device-credentials.ts';
import { isDpsId } from '../events/read-event.ts';
import type { FleetLists } from '../fleet/fleet-list.ts';
import { chunksOf } from '../tools/in-parallel.ts';
import { addressOf, type CredentialsIssuer } from './credentials-resource.ts';
import { sourceOf } from './fleet-forms.ts';
import { html, type Markup } from './html.ts';
import type { HttpResponse } from './http-response.ts';
import { notFoundPage } from './page-response.ts';
import { credentialsBody, type Label, labelBody, labelSheetBody } from './pages/label-page.ts';
import { pageHeaders, pageText, type Section } from './pages/layout.ts';
import { batchAddress, deviceAddress } from './pages/parts.ts';
import { problemPage } from './pages/problem-page.ts';
import type { Request } from './request.ts';
import type { Person } from './sign-in.ts';

export interface CredentialsPagesParts {
  readonly credentialsIssuer: CredentialsIssuer;
  readonly ledger: Ledger;
  readonly fleetLists: FleetLists;
}

/** Two sheets of A4. */
const labelsPerPage = 42;
const keysAtOnce = 8;

/** Pages for the line: a device's keys, and labels. */
export class CredentialsPages {
  readonly #parts: CredentialsPagesParts;

  constructor(parts: CredentialsPagesParts) {
    this.#parts = parts;
  }

  /** After its form: it is a POST, so that nobody fetches keys by following a link. */
  async credentials(id: string, person: Person, { headers }: Request): Promise<HttpResponse> {
    const { credentialsIssuer } = this.#parts;
    if (!credentialsIssuer.areServed) {
      return notServed(person, deviceAddress(id));
    }
    const requester = { source: sourceOf(person), through: 'page', address: addressOf(headers) } as const;
    return orRefusal(person, deviceAddress(id), async () => {
      const body = credentialsBody(await credentialsIssuer.issue(id, requester));
      return page(`Credentials of ${id}`, 'devices', person, body);
    });
  }

  async label(id: string, person: Person, request: Request): Promise<HttpResponse> {
    const { credentialsIssuer } = this.#parts;
    const back = deviceAddress(id);
    const { idScope } = credentialsIssuer;
    const refusal = this.#refusal(person, back, request);
    if (idScope === undefined || refusal) {
      return refusal ?? noScope(person, back);
    }
    return orRefusal(person, back, async () => {
      const label = isDpsId(id) ? await this.#labelOf(id, idScope) : undefined;
      if (!label) {
        const line = `No event has defined the device ${id.slice(0, 128)}.`;
        return notFoundPage(person, line, '/fleet/devices', 'Devices');
      }
      const key = wantsKey(request) ? await this.#keyOf(id, person, request) : {};
      const body = labelBody({ ...label, ...key }, wantsKey(request));
      return page(`Label of ${label.registrationId}`, 'devices', person, body);
    });
  }

  async sheet(batchId: string, person: Person, request: Request): Promise<HttpResponse> {
    const { credentialsIssuer, fleetLists } = this.#parts;
    const back = batchAddress(batchId);
    const { idScope } = credentialsIssuer;
    const refusal = this.#refusal(person, back, request);
    if (idScope === undefined || refusal) {
      return refusal ?? noScope(person, back);
    }
    const continuation = new URL(request.url).searchParams.get('continuation') ?? undefined;
    const { entries, continuation: next } = await fleetLists.page(
      'device',
      { batch: batchId, life: 'manufactured' },
      { size: labelsPerPage, continuation },
    );
    return orRefusal(person, back, async () => {
      const labels = await inTurns(entries, keysAtOnce, async (entry) => {
        const label = await this.#labelOf(entry.id, idScope);
        return label && wantsKey(request)
          ? { ...label, ...(await this.#keyOrReason(entry.id, person, request)) }
          : label;
      });
      const sheet = {
        ...{ batchId, withKey: wantsKey(request), isFirst: continuation === undefined },
        ...{ labels: labels.filter((label) => label !== undefined), next, pageSize: labelsPerPage },
      };
      return page(`Labels of ${batchId}`, 'batches', person, labelSheetBody(sheet));
    });
  }

  /** Undefined where no event has defined it. */
  async #labelOf(id: string, idScope: string): Promise<Label | undefined> {
    const subject = subjectOf('device', id);
    const registers = (await this.#parts.ledger.readState(subject))?.registers;
    const definition = registers?.definitions[0]?.definition;
    if (!registers || !definition) {
      return undefined;
    }
    const registrationId = registers.spelling?.subject ?? subject.id;
    const { deviceId = registrationId, product, batch } = definition;
    return { registrationId, deviceId, idScope, product, batch };
  }

  async #keyOf(id: string, person: Person, { headers }: Request): Promise<Pick<Label, 'key' | 'withoutKey'>> {
    const requester = { source: sourceOf(person), through: 'label', address: addressOf(headers) } as const;
    const { attestation, symmetricKey } = await this.#parts.credentialsIssuer.issue(id, requester);
    return symmetricKey
      ? { key: symmetricKey.primaryKey }
      : { withoutKey: `its attestation is ${attestation}.` };
  }

  /** On a sheet, one device that must not have its key does not keep the others from theirs. */
  async #keyOrReason(
    id: string,
    person: Person,
    request: Request,
  ): Promise<Pick<Label, 'key' | 'withoutKey'>> {
    try {
      return await this.#keyOf(id, person, request);
    } catch (error) {
      if (!(error instanceof CredentialsRefusedError) || error.reason === 'limit') {
        throw error;
      }
      return { withoutKey: error.message };
    }
  }

  /** Keys are for whoever has the role, and for pages of ours: a page elsewhere could make browsers ask. */
  #refusal(person: Person, back: string, request: Request): HttpResponse | undefined {
    if (!wantsKey(request)) {
      return undefined;
    }
    if (!person.roles.has('Fleet.Credentials')) {
      return problemPage(
        403,
        'You may not do this',
        html`Labels with keys are for people with the role <b>Fleet.Credentials</b>.`,
        { viewer: person, icon: 'lock', more: backButton(back) },
      );
    }
    const site = request.headers.get('sec-fetch-site');
    if (site !== null && site !== 'same-origin' && site !== 'none') {
      return problemPage(403, 'Not asked for from here', 'Another site asked for keys, so none were shown.', {
        viewer: person,
        icon: 'lock',
        more: backButton(back),
      });
    }
    return this.#parts.credentialsIssuer.areServed ? undefined : notServed(person, back);
  }
}

function wantsKey({ query }: Request): boolean {
  return query.get('key') === '1';
}

async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const some of chunksOf(items, atOnce)) {
    results.push(...(await Promise.all(some.map(work))));
  }
  return results;
}

async function orRefusal(
  viewer: Person,
  back: string,
  show: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  try {
    return await show();
  } catch (error) {
    const more = backButton(back);
    if (error instanceof CredentialsRefusedError) {
      const status = error.reason === 'unknown' ? 404 : error.reason === 'limit' ? 429 : 409;
      return problemPage(status, 'No credentials', error.message, { viewer, icon: 'lock', more });
    }
    if (error instanceof RetryLaterError || error instanceof DeviceProvisioningError) {
      const line = `DPS cannot be read now: ${error.message}`;
      return problemPage(503, 'No credentials now', line, { viewer, icon: 'warning', more });
    }
    throw error;
  }
}

function notServed(viewer: Person, back: string): HttpResponse {
  const line =
    'Credentials are not handed out here: the setting CREDENTIALS is off. Set it to on, if the line is to fetch them.';
  return problemPage(403, 'Not here', line, { viewer, icon: 'lock', more: backButton(back) });
}

function noScope(viewer: Person, back: string): HttpResponse {
  const line =
    'A label names the ID scope of the DPS instance, which only a setting can tell: set DPS_ID_SCOPE.';
  return problemPage(409, 'No ID scope', line, { viewer, icon: 'warning', more: backButton(back) });
}

function backButton(href: string): Markup {
  return html`<a class="button" href="${href}">Back</a>`;
}

function page(title: string, section: Section, viewer: Person, body: Markup): HttpResponse {
  return { status: 200, headers: pageHeaders, body: pageText({ title, section, viewer, body }) };
}
