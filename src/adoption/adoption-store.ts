import { joinText, splitText } from '../storage/long-text.ts';
import type { Table } from '../storage/tables.ts';
import type { Adoption } from './adoption.ts';
import type { AdoptionRules } from './adoption-rules.ts';

const adoptions = 'adoption';
/** So much of the rules lies in one row: an entity holds 1 MiB, in UTF-16. */
const rowCharacters = 300_000;

/** Adoptions beside the runs of audits, and their rules, which may name each device. */
export class AdoptionStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async begin(adoption: Adoption, rules: AdoptionRules): Promise<void> {
    const text = JSON.stringify(rules);
    for (let part = 0; part * rowCharacters < text.length; part++) {
      const some = text.slice(part * rowCharacters, (part + 1) * rowCharacters);
      await this.#table.upsert(rulesPartition(adoption.id), partKey(part), splitText('rules', some));
    }
    await this.save(adoption);
  }

  async save(adoption: Adoption): Promise<void> {
    const values = { status: adoption.status, ...splitText('adoption', JSON.stringify(adoption)) };
    await this.#table.upsert(adoptions, adoption.id, values);
  }

  async read(id: string): Promise<Adoption | undefined> {
    const row = /^[\w-]{1,64}$/.test(id) ? await this.#table.get(adoptions, id) : undefined;
    const text = row && joinText('adoption', row.values);
    return text === undefined ? undefined : (JSON.parse(text) as Adoption);
  }

  async rules(id: string): Promise<AdoptionRules> {
    let text = '';
    for (let part = 0; ; part++) {
      const row = await this.#table.get(rulesPartition(id), partKey(part));
      if (!row) {
        return JSON.parse(text === '' ? '{}' : text) as AdoptionRules;
      }
      text += joinText('rules', row.values) ?? '';
    }
  }
}

function rulesPartition(id: string): string {
  return `${adoptions}!${id}`;
}

function partKey(part: number): string {
  return String(part).padStart(4, '0');
}
