import { hubAccessOf } from '../../enrollment/hub-access/hub-access-of.ts';
import { isInSync, type SubjectState } from '../../enrollment/ledger/subject-state.ts';
import { html } from '../html.ts';
import type { SubjectView } from '../subject-view.ts';
import { moment } from './numbers.ts';
import { batchLink, type Content, type Tone } from './parts.ts';
import { findingWords, sentenceCase } from './words.ts';

export interface Diagnosis {
  readonly tone: Tone;
  readonly sentence: Content;
  readonly next?: Content;
}

/** In one sentence: what is the matter with it; in the next: what comes next. The gravest matter alone. */
export function diagnosisOf(view: SubjectView): Diagnosis {
  const ways = [
    unknown,
    rejectedOnly,
    ended,
    waits,
    held,
    keptOutByGroup,
    missing,
    differs,
    failed,
    found,
    quiet,
  ];
  for (const way of ways) {
    const diagnosis = way(view);
    if (diagnosis) {
      return diagnosis;
    }
  }
  return allWell(view);
}

type Way = (view: SubjectView) => Diagnosis | undefined;

const unknown: Way = ({ subject, state, events, dps, desired }) => {
  if (
    state &&
    (state.registers.definitions.length > 0 || desired.kind !== 'nothing' || state.registers.life)
  ) {
    return undefined;
  }
  if (events.length > 0) {
    return undefined;
  }
  const what = subject.kind === 'device' ? 'device' : 'group';
  const where = dps.registration ? 'It has registered with DPS' : 'DPS has an enrollment for it';
  return {
    tone: dps.registration ? 'critical' : 'warning',
    sentence: `${where}, and no event has ever named this ${what}.`,
    next: `find out who made it. If somebody should have, send its events; if nobody did, hold it.`,
  };
};

const rejectedOnly: Way = ({ state, events, subject }) => {
  const [newest] = events;
  if (state && (state.registers.definitions.length > 0 || state.registers.life || state.registers.hold)) {
    return undefined;
  }
  if (newest?.status === 'rejected') {
    return {
      tone: 'warning',
      sentence: html`It is not enrolled: its event was rejected. ${newest.detail}`,
      next: html`correct the event and send it again: <a href="/fleet/rejected/${newest.key}">open the rejected event</a>.`,
    };
  }
  if (newest) {
    return {
      tone: 'info',
      sentence: `Its first event has arrived and waits to be applied.`,
      next: 'nothing to do: it is applied in a moment.',
    };
  }
  return state
    ? {
        tone: 'info',
        sentence: `No event has defined this ${subject.kind} yet.`,
        next: `it is enrolled when its ${subject.kind === 'device' ? 'device.manufactured' : 'batch.started'} event comes.`,
      }
    : undefined;
};

const ended: Way = ({ state, subject, dps, entry }) => {
  const life = state?.registers.life;
  if (!life || life.life === 'remanufactured') {
    return undefined;
  }
  const at = moment(life.version.at.slice(0, 19).concat('Z'));
  if (subject.kind === 'device') {
    const hub = dps.registration?.assignedHub ?? entry?.audit?.hub ?? state?.assignedHub;
    return {
      tone: 'info',
      sentence: html`It was scrapped on ${at}, and cannot register any more.`,
      next:
        hub === undefined || (state && hubAccessOf(state) === 'closed') || state?.hubs?.length === 0
          ? 'nothing to do. If it is built anew, send device.manufactured with remanufactured true.'
          : `it may still be connected to ${hub}: disable its identity there.`,
    };
  }
  return life.life === 'recalled'
    ? {
        tone: 'warning',
        sentence: html`It was recalled on ${at}: its group lets no device in any more.`,
        next: !state?.members
          ? 'devices that are connected stay so until their identities in the hubs are disabled.'
          : hubAccessOf(state) === 'closed'
            ? 'nothing to do: its devices are closed in their hubs, too.'
            : 'nothing to do: its devices are being closed in their hubs.',
      }
    : {
        tone: 'info',
        sentence: html`It was retired on ${at}: its group and its registration records are gone.`,
      };
};

const waits: Way = ({ state, events }) => {
  if (!state || isInSync(state)) {
    return undefined;
  }
  const retrying = events.find(({ status }) => status === 'retrying');
  const since = state.pendingSince === undefined ? '' : html` since ${moment(state.pendingSince)}`;
  const why = retrying?.detail === undefined ? '' : html`: ${retrying.detail}`;
  return {
    tone: 'warning',
    sentence: html`What its events say has not reached DPS yet; it waits${since}${why}`,
    next:
      retrying?.nextAttemptAt === undefined
        ? 'nothing to do: it is being applied.'
        : html`it is tried again at ${moment(retrying.nextAttemptAt)}, or now.`,
  };
};

const held: Way = ({ state, entry, subject, desired, dps }) => {
  const hold = state?.registers.hold;
  const isHeld = hold ? hold.held : entry?.ledger.held === true;
  if (!isHeld) {
    return undefined;
  }
  const reason = (hold as { readonly reason?: string } | undefined)?.reason ?? entry?.ledger.heldReason;
  const because = reason === undefined ? '' : html`: “${reason}”`;
  const [who, whom] = subject.kind === 'device' ? ['it', 'it'] : ['its devices', 'them'];
  const stays = `${who} cannot register${hubWords(state, whom)}`;
  const by = hold
    ? html` by ${hold.version.source} on ${moment(hold.version.at.slice(0, 19).concat('Z'))}`
    : ' since it was made, as its profile says';
  const open =
    dps.enrollment?.provisioningStatus !== 'disabled' &&
    dps.unavailable === undefined &&
    desired.kind !== 'nothing';
  return open && isOpenInDps(desired.kind, dps.enrollment !== undefined)
    ? {
        tone: 'critical',
        sentence: html`It is held${by}, but DPS would still let it in.`,
        next: 'hold it again under a new id, and look at who changes enrollments by hand.',
      }
    : {
        tone: 'warning',
        sentence: html`It is held${by}${because}; ${stays}.`,
        next: 'release it when the reason is gone.',
      };
};

function hubWords(state: SubjectState | undefined, whom: string): string {
  switch (state && hubAccessOf(state)) {
    case 'closed':
      return `, and no hub lets ${whom} in`;
    case 'pending':
      return `; whether a hub still lets ${whom} in is not known yet`;
    default:
      return '';
  }
}

function isOpenInDps(kind: string, isThere: boolean): boolean {
  return kind === 'blocked' ? !isThere : isThere;
}

const keptOutByGroup: Way = ({ group }) => {
  const closed = group?.state && closedBy(group.state);
  return group && closed
    ? {
        tone: 'warning',
        sentence: html`Its batch ${batchLink(group.id)} ${closed}, so it cannot register.`,
        next:
          closed === 'is held'
            ? 'release the batch when the reason is gone.'
            : 'nothing to do: that is for good.',
      }
    : undefined;
};

export function closedBy({ registers }: SubjectState): string | undefined {
  const life = registers.life?.life;
  if (life === 'recalled' || life === 'retired') {
    return `was ${life}`;
  }
  return registers.hold?.held ? 'is held' : undefined;
}

const missing: Way = ({ desired, dps, subject }) => {
  const wants = desired.kind === 'enrollment' || desired.kind === 'group' || desired.kind === 'blocked';
  if (dps.unavailable !== undefined || dps.enrollment || !wants) {
    return desired.kind === 'no-profile'
      ? {
          tone: 'warning',
          sentence: `Its product ${desired.product} has no enrollment profile any more.`,
          next: 'put the profile back, or send device.changed with another product.',
        }
      : undefined;
  }
  return {
    tone: 'warning',
    sentence: `DPS has no ${subject.kind === 'device' ? 'enrollment' : 'group'} for it, though its events ask for one: ${subject.kind === 'device' ? 'it' : 'its devices'} cannot register.`,
    next: `send ${subject.kind === 'device' ? 'device.changed' : 'batch.started'} with what it is, under a new id.`,
  };
};

const differs: Way = ({ differing, subject }) =>
  differing.length === 0
    ? undefined
    : {
        tone: 'warning',
        sentence: `DPS holds something else than its events and its profile say: ${differing.map(memberName).join(', ')}.`,
        next: `see what differs below. Send ${subject.kind === 'device' ? 'device.changed' : 'batch.started'} under a new id to have it written anew.`,
      };

const failed: Way = ({ dps, entry }) => {
  const record = dps.registration;
  const status = record?.status ?? (dps.unavailable === undefined ? undefined : entry?.audit?.state);
  if (status !== 'failed') {
    return undefined;
  }
  const code = record?.errorCode ?? entry?.audit?.errorCode;
  const text = record?.errorMessage ?? entry?.audit?.errorMessage;
  return {
    tone: 'warning',
    sentence: html`It asked DPS and failed${text === undefined ? '' : html`: ${text}`}${code === undefined ? '' : html` (${code})`}.`,
    next: 'compare its credentials with the enrollment below; it tries again by itself.',
  };
};

const found: Way = ({ entry }) => {
  const [first, ...others] = entry?.audit?.findings ?? [];
  if (!first) {
    return undefined;
  }
  const { means, next } = findingWords(first.code);
  const more = others.length === 0 ? '' : ` The audit found ${others.length} more: see below.`;
  return {
    tone: first.severity === 'critical' ? 'critical' : first.severity === 'info' ? 'info' : 'warning',
    sentence: html`${means}${more}`,
    next: next.charAt(0).toLowerCase() + next.slice(1),
  };
};

const quiet: Way = ({ subject, dps, entry, desired }) => {
  const record = dps.registration;
  const hasRegistered = record ?? (dps.unavailable === undefined ? undefined : entry?.audit?.registeredAt);
  const wants = desired.kind === 'enrollment' || desired.kind === 'member';
  if (subject.kind === 'batch' || hasRegistered || !wants) {
    return undefined;
  }
  return {
    tone: 'info',
    sentence: 'It is ready, and has not been switched on yet: it never asked DPS.',
    next: 'nothing to do. It registers when it is switched on.',
  };
};

function allWell({ subject, dps, entry }: SubjectView): Diagnosis {
  if (subject.kind === 'batch') {
    return {
      tone: 'good',
      sentence: 'Its group is in DPS as its events and its profile say.',
      next: 'nothing to do.',
    };
  }
  const hub = dps.registration?.assignedHub ?? entry?.audit?.hub;
  const at = dps.registration?.lastUpdatedDateTimeUtc ?? entry?.audit?.registeredAt;
  const sentence: Content =
    hub === undefined
      ? sentenceCase(`everything is as its events and its profile say.`)
      : html`It is assigned to ${hub}${at === undefined ? '' : html` since ${moment(at)}`}, and all is as it should be.`;
  return { tone: 'good', sentence, next: 'nothing to do.' };
}

const memberNames: Readonly<Record<string, string>> = {
  deviceId: 'device id',
  attestation: 'attestation',
  allocationPolicy: 'allocation policy',
  iotHubs: 'hubs',
  reprovisionPolicy: 'reprovision policy',
  capabilities: 'IoT Edge',
  customAllocationDefinition: 'custom allocation',
  initialTwin: 'initial twin',
  optionalDeviceInformation: 'device information',
};

export function memberName(member: string): string {
  return member.startsWith('provisioningStatus') ? 'provisioning status' : (memberNames[member] ?? member);
}
