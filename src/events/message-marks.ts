/**
 * What our own messages say of themselves, in application properties. Everybody may put messages on the queue, with
 * properties of common names: so ours have a prefix that nobody has by chance, and are believed within bounds alone.
 */
export interface MessageMarks {
  /** 1 for an event that was never tried. */
  readonly attempt: number;
  /** When the event arrived first. */
  readonly firstSeen: Date;
  /** Names a replay, so that its copies are one. */
  readonly replay: string | undefined;
  /** Its `accepted` record is in the ledger already. */
  readonly announced: boolean;
  /** The sender that signed the event, where one did: what it may send is judged where its device is known. */
  readonly sender: string | undefined;
  /** The id of the message that brought the event first. */
  readonly messageId: string | undefined;
}

const prefix = 'dpsPipeline';
const attemptsAtMost = 1_000_000;
const replayName = /^[0-9a-f]{32}$/;
const senderName = /^[a-z0-9-]{1,60}$/;

export function writeMarks(
  marks: Partial<Pick<MessageMarks, 'replay' | 'announced' | 'sender' | 'messageId'>> &
    Pick<MessageMarks, 'attempt' | 'firstSeen'>,
): Record<string, string | number | boolean> {
  const { attempt, firstSeen, replay, announced, sender, messageId } = marks;
  return {
    [`${prefix}Attempt`]: attempt,
    [`${prefix}FirstSeen`]: firstSeen.toISOString(),
    ...(replay === undefined ? {} : { [`${prefix}Replay`]: replay }),
    ...(announced ? { [`${prefix}Announced`]: true } : {}),
    ...(sender === undefined ? {} : { [`${prefix}Sender`]: sender }),
    ...(messageId === undefined ? {} : { [`${prefix}MessageId`]: messageId }),
  };
}

/** An arrival after this moment, or before anything that is kept, was not written by us: the message's own counts. */
export function readMarks(
  properties: Readonly<Record<string, unknown>>,
  enqueuedAt: Date,
  { now, retentionInMs }: { readonly now: Date; readonly retentionInMs: number },
): MessageMarks {
  // The host writes the first letter of a property's name small.
  const marks = new Map(Object.entries(properties).map(([name, value]) => [name.toLowerCase(), value]));
  const mark = (name: string) => marks.get(`${prefix}${name}`.toLowerCase());
  const attempt = Number(mark('Attempt') ?? 1);
  const firstSeen = new Date(String(mark('FirstSeen'))).getTime();
  const isArrival = firstSeen <= now.getTime() && firstSeen >= now.getTime() - retentionInMs;
  const replay = String(mark('Replay') ?? '');
  const sender = String(mark('Sender') ?? '');
  const messageId = mark('MessageId');
  return {
    attempt: Number.isSafeInteger(attempt) && attempt >= 1 && attempt <= attemptsAtMost ? attempt : 1,
    firstSeen: isArrival ? new Date(firstSeen) : enqueuedAt,
    replay: replayName.test(replay) ? replay : undefined,
    announced: mark('Announced') === true,
    sender: senderName.test(sender) ? sender : undefined,
    messageId: typeof messageId === 'string' ? messageId.slice(0, 128) : undefined,
  };
}
