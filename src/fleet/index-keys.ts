import { partitionKey } from '../enrollment/ledger/ledger.ts';
import { sha256 } from '../events/event-identity.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';

/** Table Storage takes 512 characters in a key; what is longer is told apart by its hash. */
const longestKeyPart = 160;
const longestTerm = 120;

/** What rows are listed by. `search` sorts by what people type; all else by id. */
export type IndexName =
  | 'all'
  | 'search'
  | 'product'
  | 'batch'
  | 'group'
  | 'hub'
  | 'label'
  | 'state'
  | 'life'
  | 'finding'
  | 'held'
  | 'pending'
  | 'waiting';

export function indexPartition(kind: SubjectKind, index: IndexName, value = ''): string {
  return `${kind}!${index}!${keyPart(value)}`;
}

export function indexRowKey(id: string): string {
  return partitionKey(id);
}

export function searchRowKey(term: string, id: string): string {
  return `${searchTerm(term)}!${indexRowKey(id)}`;
}

/** As it is typed and as it is stored: without regard to case, and without what a key must not hold. */
export function searchTerm(text: string): string {
  return text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[/\\#?!\p{Cc}\p{Cs}\u{10000}-\u{10ffff}]/gu, '_')
    .slice(0, longestTerm);
}

/** The first text that sorts behind all that begin with this one. */
export function afterPrefix(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  return `${prefix.slice(0, -1)}${String.fromCharCode(last + 1)}`;
}

/** Different values have different keys, whatever they hold. */
function keyPart(value: string): string {
  const safe = value.replace(
    /[^A-Za-z0-9.:@=~ -]/g,
    (character) => `_${character.charCodeAt(0).toString(16)}_`,
  );
  return safe.length <= longestKeyPart
    ? safe
    : `${safe.slice(0, longestKeyPart)}_${sha256(value).slice(0, 32)}`;
}
