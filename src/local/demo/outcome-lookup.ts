import { bodyKey, eventKey, sha256 } from '../../events/event-identity.ts';

/** How one sent event ended, as the app itself tells it. */
export interface Ended {
  readonly label: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
}

interface StatusDocument {
  readonly status: string;
  readonly reason?: string;
  readonly detail?: string;
}

interface Parsed {
  readonly source?: unknown;
  readonly id?: unknown;
  readonly subject?: unknown;
  readonly type?: unknown;
}

const lookEveryInMs = 250;
const finalStatuses = new Set(['succeeded', 'superseded', 'rejected']);

/** Asks the app's status resources until the event has ended or time is up. */
export async function waitForEnd(
  text: string,
  functions: string,
  key: string,
  deadline: number,
): Promise<Ended> {
  const event = parse(text);
  const label = event
    ? `${event.type} ${event.subject} (${event.id})`
    : `a line of ${text.length} characters`;
  const headers = { 'x-functions-key': key };
  const lookUp = async (path: string) => {
    const response = await fetch(`${functions}${path}`, { headers });
    if (response.status === 404) {
      return undefined;
    }
    if (!response.ok) {
      throw new Error(`GET ${path} answered ${response.status}.`);
    }
    return (await response.json()) as StatusDocument & { rejected?: (StatusDocument & { key: string })[] };
  };
  for (;;) {
    const rejection = await rejectionOf(text, event, lookUp);
    if (rejection) {
      return { label, ...rejection, status: 'rejected' };
    }
    const status = event ? await lookUp(statusPath(event)) : undefined;
    if (status && finalStatuses.has(status.status)) {
      return { label, status: status.status, reason: status.reason, detail: status.detail };
    }
    if (Date.now() > deadline) {
      return { label, status: status?.status ?? 'unknown', detail: status?.detail };
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryInMs));
  }
}

type LookUp = (path: string) => Promise<{ rejected?: (StatusDocument & { key: string })[] } | undefined>;

/** What is no event, or reuses an id, has no status of its own: it is among the rejected ones. */
async function rejectionOf(
  text: string,
  event: Parsed | undefined,
  lookUp: LookUp,
): Promise<StatusDocument | undefined> {
  const key = event
    ? `${eventKey(String(event.source), String(event.id), String(event.subject))}-reuse-${sha256(text).slice(0, 8)}`
    : bodyKey(text);
  const page = await lookUp('/api/rejected');
  return page?.rejected?.find((each) => each.key === key);
}

function statusPath(event: Parsed): string {
  const kind = /(?:^|\.)batch\.[^.]+$/.test(String(event.type)) ? 'batches' : 'devices';
  const key = eventKey(String(event.source), String(event.id), String(event.subject));
  return `/api/${kind}/${encodeURIComponent(String(event.subject))}/events/${key}`;
}

/** Undefined unless source, id, subject and type are there: else there is no event to ask for. */
function parse(text: string): Parsed | undefined {
  try {
    const event: Parsed = JSON.parse(text);
    const named = [event.source, event.id, event.subject, event.type];
    return named.every((each) => typeof each === 'string' && each !== '') ? event : undefined;
  } catch {
    return undefined;
  }
}
