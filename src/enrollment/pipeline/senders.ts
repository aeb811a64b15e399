import * as z from 'zod';

import { type EventKey, lowerCase } from '../../events/event-identity.ts';
import type { JsonObject } from '../../events/json.ts';
import { eventKinds, type ManufacturingEvent } from '../../events/manufacturing-event.ts';
import type { Rejection } from '../../events/rejection.ts';
import { quoted } from '../../events/secret-texts.ts';
import packagedSenders from '../../senders.json' with { type: 'json' };
import { readJsonFile } from '../../tools/json-file.ts';
import { fitsName, namePattern } from '../../tools/name-pattern.ts';
import type { Registers } from '../ledger/registers.ts';

const pattern = z.string().regex(namePattern, { error: 'must be a name, or a prefix that ends in one *' });
const typePattern = pattern.refine((name) => eventKinds.some(matcher([name])), {
  error: `fits none of ${eventKinds.join(', ')}`,
});
const some = { error: 'must name at least one' };

const senderSchema = z
  .strictObject({
    sources: z.array(pattern).min(1, some).describe('Sources of its events, as written.'),
    types: z
      .array(typePattern)
      .min(1, some)
      .describe('What its events may mean: device.manufactured, device.*, batch.*, …'),
    products: z
      .array(pattern)
      .min(1, some)
      .describe('Products that its definitions may name, and that the devices of its other events may have.'),
    subjects: z
      .array(pattern)
      .min(1, some)
      .optional()
      .describe('Registration ids and batch ids that its events may be about. Absent: any.'),
  })
  .describe('What the sender may send. Each is an exact name, or a prefix that ends in one *.');

const senderName = /^[a-z0-9-]{1,60}$/;

const fileSchema = z
  .object({ $schema: z.string().optional() })
  .catchall(senderSchema)
  .superRefine((file, context) => {
    for (const name of Object.keys(file).filter((each) => each !== '$schema' && !senderName.test(each))) {
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'must be 1 to 60 lower-case letters, digits and hyphens',
      });
    }
  })
  .meta({ propertyNames: { pattern: `${senderName.source}|^\\$schema$` } });

export class SendersError extends Error {
  override name = 'SendersError';
}

/** What of an event is beyond what its sender may send. */
export type Violation = Pick<Rejection, 'pointer' | 'detail'>;

/** What one sender may send. */
export class Sender {
  readonly #sources: Matches;
  readonly #types: Matches;
  readonly #products: Matches;
  readonly #subjects: Matches;

  constructor({ sources, types, products, subjects }: z.infer<typeof senderSchema>) {
    this.#sources = matcher(sources);
    this.#types = matcher(types);
    this.#products = matcher(products);
    const isSubject = matcher((subjects ?? ['*']).map(lowerCase));
    this.#subjects = (subject) => isSubject(lowerCase(subject));
  }

  /** By what the event says itself, when it arrives. */
  violation({ source, kind, subject, definition }: ManufacturingEvent): Violation | undefined {
    if (!this.#sources(source)) {
      return violation('/source', `the source ${quoted(source)}`);
    }
    if (!this.#types(kind)) {
      return violation('/type', `events of the type ${kind}`);
    }
    if (!this.#subjects(subject)) {
      return violation('/subject', `events about ${quoted(subject)}`);
    }
    return definition && !this.#products(definition.product)
      ? violation('/data/product', `the product ${quoted(definition.product)}`)
      : undefined;
  }

  maySpeakOf(product: string): boolean {
    return this.#products(product);
  }
}

function violation(pointer: string, what: string): Violation {
  return { pointer, detail: `This sender may not send ${what}.` };
}

/**
 * By what the ledger knows, when the event is merged: whatever its type, a sender may speak only of devices and batches
 * whose product is its own, or that nothing has defined yet. Events without a sender came with a key, or by the queue.
 */
export function senderRejection(
  senders: Senders,
  name: string | undefined,
  key: EventKey,
  { definitions }: Pick<Registers, 'definitions'>,
): Rejection | undefined {
  if (name === undefined) {
    return undefined;
  }
  const reject = (detail: string): Rejection => ({ reason: 'not-permitted', pointer: '/subject', detail });
  const sender = senders.get(name);
  if (!sender) {
    return reject(
      `The sender ${name} is not in the senders file any more. Put it back, and replay the event.`,
    );
  }
  const [newest] = definitions;
  if (!newest || newest.version.key === key || sender.maySpeakOf(newest.definition.product)) {
    return undefined;
  }
  return reject(
    `The subject's product is not one that the sender ${name} may speak of. Correct the subject, or add the product to the sender's "products".`,
  );
}

type Matches = (name: string) => boolean;

function matcher(patterns: readonly string[]): Matches {
  return (name) => patterns.some((pattern) => fitsName(pattern, name));
}

export type Senders = ReadonlyMap<string, Sender>;

/** Reads the file that `SENDERS` names, or the packaged one. Throws a SendersError that fits a line. */
export function loadSenders(file: string | undefined): Senders {
  const parsed = fileSchema.safeParse(
    file === undefined ? packagedSenders : readJsonFile(file, SendersError),
  );
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    throw new SendersError(`${file ?? 'the packaged senders'}: ${where} ${issue?.message}`);
  }
  const { $schema: _, ...senders } = parsed.data;
  return new Map(Object.entries(senders).map(([name, sender]) => [name, new Sender(sender)]));
}

/** All that is wrong with the content of such a file, where a start names the first. */
export function senderProblems(content: unknown): string[] {
  const issues = fileSchema.safeParse(content).error?.issues ?? [];
  return issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim());
}

/** For editors; lies beside the packaged file. */
export function sendersJsonSchema(): JsonObject {
  return z.toJSONSchema(fileSchema) as JsonObject;
}
