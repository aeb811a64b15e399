import * as z from 'zod';

import type { JsonObject } from '../events/json.ts';
import { eventKinds, type ManufacturingEvent } from '../events/manufacturing-event.ts';
import { readJsonFile } from '../json-file.ts';
import { fitsName, namePattern } from '../name-pattern.ts';
import packagedSenders from '../senders.json' with { type: 'json' };

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
    products: z.array(pattern).min(1, some).describe('Products that its definitions may name.'),
  })
  .describe('What the sender may send. Each is an exact name, or a prefix that ends in one *.');

const senderName = /^[a-z0-9-]{1,60}$/;

const fileSchema = z
  .object({ $schema: z.string().optional() })
  .catchall(senderSchema)
  .superRefine((file, context) => {
    for (const name of Object.keys(file).filter((each) => each !== '$schema' && !senderName.test(each)))
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'must be 1 to 60 lower-case letters, digits and hyphens',
      });
  })
  .meta({ propertyNames: { pattern: `${senderName.source}|^\\$schema$` } });

export class SendersError extends Error {
  override name = 'SendersError';
}

/** What of an event is beyond what its sender may send. */
export interface Beyond {
  readonly pointer: string;
  readonly detail: string;
}

/** What one sender may send. */
export class WebhookSender {
  readonly #sources: Matches;
  readonly #types: Matches;
  readonly #products: Matches;

  constructor({ sources, types, products }: z.infer<typeof senderSchema>) {
    this.#sources = matcher(sources);
    this.#types = matcher(types);
    this.#products = matcher(products);
  }

  /**
   * An event is judged by what it says itself, not by what is known of its device: so order does not matter. Only
   * definitions name a product (`device.held` has none): all other events are within `products`, and a sender that should
   * not hold or scrap is not given these types.
   */
  beyond({ source, kind, definition }: ManufacturingEvent): Beyond | undefined {
    if (!this.#sources(source)) return no('/source', `the source ${source}`);
    if (!this.#types(kind)) return no('/type', `events of the type ${kind}`);
    if (definition && !this.#products(definition.product))
      return no('/data/product', `the product ${definition.product}`);
    return undefined;
  }
}

function no(pointer: string, what: string): Beyond {
  return { pointer, detail: `This sender may not send ${what}.` };
}

type Matches = (name: string) => boolean;

function matcher(patterns: readonly string[]): Matches {
  return (name) => patterns.some((pattern) => fitsName(pattern, name));
}

export type WebhookSenders = ReadonlyMap<string, WebhookSender>;

/** Reads the file that `SENDERS` names, or the packaged one. Throws a SendersError that fits a line. */
export function loadSenders(file: string | undefined): WebhookSenders {
  const parsed = fileSchema.safeParse(
    file === undefined ? packagedSenders : readJsonFile(file, SendersError),
  );
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    throw new SendersError(`${file ?? 'the packaged senders'}: ${where} ${issue?.message}`);
  }
  const { $schema: _, ...senders } = parsed.data;
  return new Map(Object.entries(senders).map(([name, sender]) => [name, new WebhookSender(sender)]));
}

/** For editors; lies beside the packaged file. */
export function sendersJsonSchema(): JsonObject {
  return z.toJSONSchema(fileSchema) as JsonObject;
}
