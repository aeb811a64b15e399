import * as z from 'zod';

import type { JsonObject } from '../events/json.ts';

const product = z.string().min(1).max(128);
const id = z.string().min(1).max(128);

/** What an enrollment, group or registered device is a product of. The first rule that fits decides. */
const rule = z.union([
  z
    .strictObject({ tag: z.string().min(1) })
    .describe('The value of this tag of the initial twin is the product.'),
  z
    .strictObject({ tag: z.string().min(1), value: z.string(), product })
    .describe('Where this tag of the initial twin has this value.'),
  z.strictObject({ idPrefix: id, product }).describe('By the beginning of the id, without regard to case.'),
  z
    .strictObject({ group: id, product })
    .describe('The enrollment group of this id, and the devices that registered through it.'),
]);

export const adoptionRulesSchema = z.strictObject({
  products: z
    .record(id, product)
    .optional()
    .describe('By registration id or enrollment group id. Before all rules.'),
  rules: z.array(rule).max(1_000).optional(),
});

export type AdoptionRules = z.infer<typeof adoptionRulesSchema>;

/** What a rule looks at. */
export interface Adoptable {
  readonly id: string;
  readonly group?: string;
  readonly tags?: JsonObject | undefined;
}

export class ProductFinder {
  readonly #products: ReadonlyMap<string, string>;
  readonly #rules: NonNullable<AdoptionRules['rules']>;

  constructor({ products = {}, rules = [] }: AdoptionRules) {
    this.#products = new Map(Object.entries(products).map(([name, value]) => [name.toLowerCase(), value]));
    this.#rules = rules;
  }

  productOf(subject: Adoptable): string | undefined {
    const named = this.#products.get(subject.id.toLowerCase());
    if (named !== undefined) {
      return named;
    }
    for (const each of this.#rules) {
      const found = productBy(each, subject);
      if (found !== undefined) {
        return found;
      }
    }
    return undefined;
  }
}

function productBy(
  each: NonNullable<AdoptionRules['rules']>[number],
  { id: own, group, tags }: Adoptable,
): string | undefined {
  if ('idPrefix' in each) {
    return own.toLowerCase().startsWith(each.idPrefix.toLowerCase()) ? each.product : undefined;
  }
  if ('group' in each) {
    return group?.toLowerCase() === each.group.toLowerCase() ? each.product : undefined;
  }
  const value = tags && Object.hasOwn(tags, each.tag) ? tags[each.tag] : undefined;
  if ('product' in each) {
    return value === each.value ? each.product : undefined;
  }
  return typeof value === 'string' && value !== '' ? value : undefined;
}
