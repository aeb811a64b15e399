import * as z from 'zod';

import { adoptionDocument } from '../adoption/adoption.ts';
import { adoptionRulesSchema } from '../adoption/adoption-rules.ts';
import type { AdoptionRunner } from '../adoption/adoption-runner.ts';
import type { AdoptionStore } from '../adoption/adoption-store.ts';
import { decodeJson } from '../events/decode-json.ts';
import { type HttpResponse, json, notFound, problem } from './http-response.ts';
import { originOf, type Request } from './request.ts';

const maxBodyBytes = 1024 * 1024;

export const adoptionRequestSchema = z.union([
  adoptionRulesSchema
    .extend({ dryRun: z.boolean().optional().describe('true: says what would be taken, and takes nothing.') })
    .refine(({ products, rules }) => products !== undefined || (rules?.length ?? 0) > 0, {
      error: 'names neither products nor rules',
    }),
  z.strictObject({ undo: z.string().min(1).describe('The id of an adoption that has ended.') }),
]);

/** `POST /api/adoptions` and `GET /api/adoptions/{id}`. */
export class AdoptionResource {
  readonly #store: AdoptionStore;
  readonly #runner: AdoptionRunner;

  constructor(store: AdoptionStore, runner: AdoptionRunner) {
    this.#store = store;
    this.#runner = runner;
  }

  async start(request: Request): Promise<HttpResponse> {
    const bytes = await request.body();
    if (bytes.length > maxBodyBytes) {
      const detail = `The body is larger than ${maxBodyBytes} bytes. Adopt in parts: what one has taken the next one knows.`;
      return problem({ status: 413, detail });
    }
    const decoded = decodeJson(bytes);
    const parsed = adoptionRequestSchema.safeParse(decoded.problem ? undefined : decoded.value);
    if (!parsed.success) {
      const detail =
        'Send {"dryRun": true, "rules": […], "products": {…}} with at least one rule or product, or {"undo": "<id>"}. A rule is {"tag"}, {"tag", "value", "product"}, {"idPrefix", "product"} or {"group", "product"}.';
      return problem({ status: 400, detail });
    }
    if ('undo' in parsed.data) {
      return this.#undo(parsed.data.undo, request);
    }
    const { dryRun = false, ...rules } = parsed.data;
    const adoption = await this.#runner.start(rules, dryRun);
    return this.#accepted(adoption, request);
  }

  async show(id: string): Promise<HttpResponse> {
    const adoption = await this.#store.read(id);
    return adoption ? json(200, adoptionDocument(adoption)) : notFound(`Adoption ${id} was not found.`);
  }

  async #undo(id: string, request: Request): Promise<HttpResponse> {
    const adoption = await this.#store.read(id);
    if (!adoption) {
      return notFound(`Adoption ${id} was not found.`);
    }
    const undoing = await this.#runner.undo(adoption);
    if (!undoing) {
      const what = adoption.dryRun ? 'was a dry run' : `is ${adoption.status}`;
      return problem({
        status: 409,
        type: 'nothing-to-undo',
        title: 'Nothing to undo',
        detail: `Adoption ${id} ${what}. An adoption can be undone once it is finished or failed.`,
      });
    }
    return this.#accepted(undoing, request);
  }

  #accepted(
    { id, status, dryRun }: { id: string; status: string; dryRun: boolean },
    request: Request,
  ): HttpResponse {
    const url = `${originOf(request)}/api/adoptions/${id}`;
    return json(202, { id, status, dryRun, url }, { location: url });
  }
}
