import { X509Certificate } from 'node:crypto';

import type {
  AttestationMechanism,
  EnrollmentGroup,
  IndividualEnrollment,
  X509CertificateWithInfo,
} from '../../dps/models.ts';
import { html, type Markup } from '../html.ts';
import { withoutSecrets } from '../without-secrets.ts';
import { moment } from './numbers.ts';
import { type Content, facts, tag } from './parts.ts';

type Enrollment = Partial<IndividualEnrollment> & Partial<EnrollmentGroup>;

interface Member {
  readonly name: string;
  /** As the enrollment calls it. */
  readonly member: string;
  shown(enrollment: Enrollment): Content;
}

const notSaid = 'DPS’s default';

const members: readonly Member[] = [
  {
    name: 'Provisioning',
    member: 'provisioningStatus',
    shown: ({ provisioningStatus }) => provisioningStatus ?? 'enabled',
  },
  { name: 'Device id', member: 'deviceId', shown: ({ deviceId }) => deviceId },
  { name: 'Attestation', member: 'attestation', shown: ({ attestation }) => attestationText(attestation) },
  {
    name: 'Allocation',
    member: 'allocationPolicy',
    shown: ({ allocationPolicy }) => allocationNames[allocationPolicy ?? ''] ?? allocationPolicy,
  },
  { name: 'Hubs', member: 'iotHubs', shown: ({ iotHubs }) => iotHubs?.join(', ') },
  {
    name: 'When it comes again',
    member: 'reprovisionPolicy',
    shown: ({ reprovisionPolicy }) => reprovisionText(reprovisionPolicy),
  },
  {
    name: 'IoT Edge',
    member: 'capabilities',
    shown: ({ capabilities }) => (capabilities?.iotEdge ? 'yes' : 'no'),
  },
  {
    name: 'Custom allocation',
    member: 'customAllocationDefinition',
    shown: (enrollment) => customText(enrollment),
  },
  { name: 'Twin tags', member: 'initialTwin', shown: ({ initialTwin }) => jsonText(initialTwin?.tags) },
  {
    name: 'Desired properties',
    member: 'initialTwin',
    shown: ({ initialTwin }) => jsonText(initialTwin?.properties?.desired),
  },
  {
    name: 'Device information',
    member: 'optionalDeviceInformation',
    shown: ({ optionalDeviceInformation }) => jsonText(optionalDeviceInformation),
  },
];

const allocationNames: Readonly<Record<string, string>> = {
  hashed: 'evenly over the hubs',
  geoLatency: 'the hub with the lowest latency',
  static: 'as the enrollment says',
  custom: 'by a function of ours',
};

/** Should be beside is; what differs comes first, and is named in a word. */
export function comparison(
  wanted: IndividualEnrollment | EnrollmentGroup | undefined,
  stored: IndividualEnrollment | EnrollmentGroup | undefined,
  differing: readonly string[],
  isKnown = true,
): Markup {
  const isDifferent = ({ member, shown }: Member) =>
    differing.some((each) => each === member || each.startsWith(`${member} `)) &&
    (member !== 'initialTwin' ||
      textOf(shown((wanted ?? {}) as Enrollment)) !== textOf(shown((stored ?? {}) as Enrollment)));
  const rows = members
    .map((each) => ({
      each,
      different: wanted !== undefined && stored !== undefined && isDifferent(each),
      should: wanted && (each.shown(wanted as Enrollment) ?? html`<span class="dim">${notSaid}</span>`),
      is: stored && each.shown(stored as Enrollment),
    }))
    .filter(({ each, is }) => (wanted && each.shown(wanted as Enrollment) !== undefined) || is !== undefined)
    .sort((left, right) => Number(right.different) - Number(left.different));
  const none = html`<span class="dim">–</span>`;
  const notThere = isKnown ? none : html`<span class="dim">not known now</span>`;
  return html`<table class="compare" role="table"><caption class="vh">What should be, and what DPS has</caption><thead role="rowgroup"><tr role="row"><td role="cell"></td><th scope="col" role="columnheader">Should be</th><th scope="col" role="columnheader">Is in DPS</th></tr></thead><tbody role="rowgroup">${rows.map(
    ({ each, different, should, is }) =>
      html`<tr role="row" class="${different ? 'differs' : ''}"><th scope="row" role="rowheader">${each.name}${different ? html` ${tag('warning', 'Differs')}` : ''}</th><td role="cell" data-label="Should be">${should ?? none}</td><td role="cell" data-label="Is in DPS">${is ?? notThere}</td></tr>`,
  )}</tbody></table>`;
}

/** The certificates of an enrollment, as people read them. */
export function certificates(attestation: AttestationMechanism | undefined): Markup | undefined {
  const { clientCertificates, signingCertificates } = attestation?.x509 ?? {};
  const slots = clientCertificates ?? signingCertificates;
  const found = (['primary', 'secondary'] as const).flatMap((slot) => {
    const certificate = slots?.[slot];
    const read = certificate && readCertificate(certificate);
    return read ? [{ slot, read }] : [];
  });
  if (found.length === 0) {
    return undefined;
  }
  return html`${found.map(
    ({ slot, read }) =>
      html`<h3>${slot === 'primary' ? 'Primary' : 'Secondary'}</h3>${facts([
        ['Subject', read.subject],
        ['Issuer', read.issuer],
        ['Valid', html`${moment(read.from, 'day')} to ${moment(read.until, 'day')}`],
        [
          'SHA-256',
          html`<span class="id long">${(read.thumbprint.match(/.{1,8}/g) ?? []).map((part) => html`${part}<wbr>`)}</span>`,
        ],
      ])}`,
  )}`;
}

interface ReadCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly from: string;
  readonly until: string;
  readonly thumbprint: string;
}

function readCertificate({ certificate, info }: X509CertificateWithInfo): ReadCertificate | undefined {
  if (info) {
    return {
      subject: info.subjectName,
      issuer: info.issuerName,
      from: info.notBeforeUtc,
      until: info.notAfterUtc,
      thumbprint: info.sha256Thumbprint.toUpperCase(),
    };
  }
  try {
    const text = certificate ?? '';
    const read = new X509Certificate(text.includes('-----BEGIN') ? text : Buffer.from(text, 'base64'));
    return {
      subject: read.subject.replaceAll('\n', ', '),
      issuer: read.issuer.replaceAll('\n', ', '),
      from: new Date(read.validFrom).toISOString(),
      until: new Date(read.validTo).toISOString(),
      thumbprint: read.fingerprint256.replaceAll(':', ''),
    };
  } catch {
    return undefined;
  }
}

function attestationText(attestation: AttestationMechanism | undefined): Content {
  switch (attestation?.type) {
    case 'symmetricKey':
      return 'symmetric keys';
    case 'tpm':
      return 'TPM';
    case 'x509': {
      const { caReferences, clientCertificates, signingCertificates } = attestation.x509;
      if (caReferences) {
        return `CA ${[caReferences.primary, caReferences.secondary].filter(Boolean).join(' and ')}`;
      }
      const slots = clientCertificates ?? signingCertificates;
      const read = slots?.primary && readCertificate(slots.primary);
      return read
        ? html`certificate ${read.thumbprint.slice(0, 8)}…, until ${moment(read.until, 'day')}`
        : 'certificate';
    }
    default:
      return attestation?.type;
  }
}

function reprovisionText(policy: IndividualEnrollment['reprovisionPolicy']): string | undefined {
  if (!policy) {
    return undefined;
  }
  const { updateHubAssignment, migrateDeviceData } = policy;
  if (!updateHubAssignment) {
    return 'stays with its hub';
  }
  return migrateDeviceData
    ? 'may change its hub, and takes its twin along'
    : 'may change its hub, and begins anew there';
}

function customText(enrollment: Enrollment): string | undefined {
  if (!enrollment.customAllocationDefinition) {
    return undefined;
  }
  const shown = withoutSecrets(enrollment as IndividualEnrollment) as Enrollment;
  return shown.customAllocationDefinition?.webhookUrl;
}

/** Twin content is anybody's: it is shown as JSON, a member a line. */
function jsonText(value: object | undefined): Markup | undefined {
  if (!value || Object.keys(value).length === 0) {
    return undefined;
  }
  const { metadata: _, $metadata: __, ...rest } = value as Record<string, unknown>;
  return html`<code class="json">${JSON.stringify(rest, undefined, 1)
    .replace(/^\{\n|\n\}$/g, '')
    .replace(/^ /gm, '')}</code>`;
}

function textOf(content: Content): string {
  return typeof content === 'object' && content !== null && 'text' in content
    ? content.text
    : String(content);
}
