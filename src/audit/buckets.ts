import { odata } from '../storage/tables.ts';

/** Rows that are many are spread by two hex digits of a hash, and read in ranges of these. */
export const bucketCount = 256;
export const bucketsPerStep = 16;

/** The partitions of the buckets of a step: one query reads them, in order. */
export function bucketsFilter(prefix: string, from: number, atOnce = bucketsPerStep): string {
  return odata`PartitionKey ge ${prefix + digits(from)} and PartitionKey lt ${prefix + digits(from + atOnce)}`;
}

/** After the last bucket comes what sorts after all hex digits. */
function digits(bucket: number): string {
  return bucket >= bucketCount ? 'g' : bucket.toString(16).padStart(2, '0');
}
