/**
 * What our own messages say of themselves, in application properties. Everybody may put messages on the queue, with
 * properties of common names: so ours have a prefix that nobody has by chance, and are believed within bounds alone.
 */
export interface MessageMarks {
  /** The first message of the chain: one that is sent again carries it. Absent on a first message. */
  readonly chain: string | undefined;
  /** The place in the chain, from 1. */
  readonly attempt: number;
  /** Failed attempts so far. */
  readonly tries: number;
  /** When the event arrived first. */
  readonly firstSeen: Date;
  /** Names a replay, so that its copies are one. */
  readonly replay: string | undefined;
  /** Its `accepted` record is in the ledger already. */
  readonly announced: boolean;
  /** The sender that signed the event, where one did: what it may send is evaluated where its device is known. */
  readonly sender: string | undefined;
  /** The id of the message that brought the event first. */
  readonly messageId: string | undefined;
}

const prefix = 'dpsPipeline';
const attemptsAtMost = 1_000_000;
const replayName = /^[0-9a-f]{32}$/;
const senderName = /^[a-z0-9-]{1,60}$/;

export function writeMarks(
  marks: Partial<Pick<MessageMarks, 'chain' | 'tries' | 'replay' | 'announced' | 'sender' | 'messageId'>> &
    Pick<MessageMarks, 'attempt' | 'firstSeen'>,
): Record<string, string | number | boolean> {
  const { chain, attempt, tries, firstSeen, replay, announced, sender, messageId } = marks;
  return {
    ...(chain === undefined ? {} : { [`${prefix}Chain`]: chain }),
    [`${prefix}Attempt`]: attempt,
    ...(tries === undefined ? {} : { [`${prefix}Tries`]: tries }),
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
  const chain = mark('Chain');
  const firstSeen = new Date(String(mark('FirstSeen'))).getTime();
  const isArrival = firstSeen <= now.getTime() && firstSeen >= now.getTime() - retentionInMs;
  const replay = String(mark('Replay') ?? '');
  const sender = String(mark('Sender') ?? '');
  const messageId = mark('MessageId');
  return {
    chain: typeof chain === 'string' ? chain.slice(0, 128) : undefined,
    attempt: counted(mark('Attempt'), 1),
    tries: counted(mark('Tries'), 0),
    firstSeen: isArrival ? new Date(firstSeen) : enqueuedAt,
    replay: replayName.test(replay) ? replay : undefined,
    announced: mark('Announced') === true,
    sender: senderName.test(sender) ? sender : undefined,
    messageId: typeof messageId === 'string' ? messageId.slice(0, 128) : undefined,
  };
}

function counted(value: unknown, least: number): number {
  const count = Number(value ?? least);
  return Number.isSafeInteger(count) && count >= least && count <= attemptsAtMost ? count : least;
}
