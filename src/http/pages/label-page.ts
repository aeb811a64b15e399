import encodeQR from 'qr';

import type { IssuedCredentials } from '../credentials-resource.ts';
import { html, type Markup } from '../html.ts';
import {
  address,
  batchAddress,
  type Content,
  card,
  deviceAddress,
  facts,
  idText,
  notice,
  pageHead,
  pager,
  printButton,
} from './parts.ts';

/** What is printed on a device, or on its box. */
export interface Label {
  readonly registrationId: string;
  readonly deviceId: string;
  readonly idScope: string;
  readonly product?: string | undefined;
  readonly batch?: string | undefined;
  /** Only for whoever may fetch it, and asks for it. */
  readonly key?: string | undefined;
  /** Why it has no key, where one was asked for. */
  readonly withoutKey?: string | undefined;
}

/** What the code holds: JSON, so that whoever scans it needs no description. */
export function codeText({ registrationId, idScope, key }: Label): string {
  return JSON.stringify({ registrationId, idScope, ...(key === undefined ? {} : { key }) });
}

export function labelBody(label: Label, withKey: boolean): Markup {
  const back = deviceAddress(label.registrationId);
  return html`${pageHead(html`Label of ${idText(label.registrationId)}`, 'Its code holds the registration id and the ID scope.', printButton(), html`<a href="${back}">Device</a>`)}
${withKey ? keyWarning : ''}
<div class="stickers one">${labelMarkup(label)}</div>`;
}

export interface LabelSheet {
  readonly batchId: string;
  readonly labels: readonly Label[];
  readonly withKey: boolean;
  readonly isFirst: boolean;
  readonly next: string | undefined;
  readonly pageSize: number;
}

export function labelSheetBody(sheet: LabelSheet): Markup {
  const { batchId, labels, withKey, isFirst, next, pageSize } = sheet;
  const path = `${batchAddress(batchId)}/labels`;
  const key = withKey ? '1' : undefined;
  const first = isFirst ? undefined : address(path, { key });
  const following = next === undefined ? undefined : address(path, { key, continuation: next });
  return html`${pageHead(html`Labels of ${idText(batchId)}`, 'Made for sheets of A4 with three by seven labels of 63.5 × 38.1 mm. Print at 100 %, without headers.', printButton(), html`<a href="${batchAddress(batchId)}">Batch</a>`)}
${withKey ? keyWarning : ''}
<div class="scroll" tabindex="0" role="group" aria-label="Sheet"><div class="stickers">${labels.map(labelMarkup)}</div></div>
${pager(labels.length === 0 ? 'No devices.' : `${labels.length} labels`, first, following, pageSize)}`;
}

/** The keys of a device, once: the page is kept nowhere. */
export function credentialsBody(credentials: IssuedCredentials): Markup {
  const { registrationId, deviceId, idScope, globalEndpoint, attestation } = credentials;
  const { symmetricKey, x509, tpm } = credentials;
  const proof: (readonly [string, Content])[] = [
    ['Primary key', secret(symmetricKey?.primaryKey)],
    ['Secondary key', secret(symmetricKey?.secondaryKey)],
    ['Certificate, SHA-256', secret(x509?.primary?.sha256Thumbprint)],
    ['Certificate, SHA-1', secret(x509?.primary?.sha1Thumbprint)],
    ['Second certificate, SHA-256', secret(x509?.secondary?.sha256Thumbprint)],
    ['Second certificate, SHA-1', secret(x509?.secondary?.sha1Thumbprint)],
    ['Endorsement key', secret(tpm?.endorsementKey)],
  ];
  return html`${pageHead(html`Credentials of ${idText(registrationId)}`, 'What the line writes into the device. That you asked is in its history.', undefined, html`<a href="${deviceAddress(registrationId)}">Device</a>`)}
${attestation === 'symmetricKey' ? keyWarning : ''}
${card(
  'To be written into the device',
  undefined,
  facts([
    ['Registration id', secret(registrationId)],
    ['Device id', secret(deviceId)],
    ['ID scope', secret(idScope)],
    ['Global endpoint', secret(globalEndpoint)],
    ...proof,
  ]),
)}`;
}

const keyWarning = notice(
  'warning',
  html`<p><b>This page holds keys.</b> Whoever has one can be the device. It is kept nowhere: loading it again asks for them again.</p>`,
);

function secret(text: string | undefined): Content {
  return text === undefined ? undefined : html`<code class="whole">${text}</code>`;
}

function labelMarkup(label: Label): Markup {
  const { registrationId, deviceId, idScope, product, batch, key, withoutKey } = label;
  const name = `Code of ${registrationId}`;
  return html`<article class="sticker">${codeSvg(codeText(label), name)}<div><b>${idText(registrationId)}</b>${deviceId === registrationId ? '' : html`<span>Device ${idText(deviceId)}</span>`}<span>ID scope ${idScope}</span>${product === undefined ? '' : html`<span>${product}</span>`}${batch === undefined ? '' : html`<span>${batch}</span>`}${key === undefined ? '' : html`<code class="whole">${key}</code>`}${withoutKey === undefined ? '' : html`<span class="dim">No key: ${withoutKey}</span>`}</div></article>`;
}

/** Black on white whatever the colours of the page are, with the quiet zone that readers need. */
function codeSvg(text: string, name: string): Markup {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 4 });
  const path = rows
    .flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])))
    .join('');
  return html`<svg class="code" role="img" aria-label="${name}" viewBox="0 0 ${rows.length} ${rows.length}" shape-rendering="crispEdges"><rect width="100%" height="100%" fill="#fff"/><path fill="#000" d="${path}"/></svg>`;
}
