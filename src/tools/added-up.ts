/** Each number with its fellow of the same name. */
export function addedUp<T extends Partial<Record<keyof T, number>>>(left: T, right: T): T {
  const sum: Partial<Record<string, number>> = { ...left };
  for (const [name, count = 0] of Object.entries<number | undefined>(right)) {
    sum[name] = (sum[name] ?? 0) + count;
  }
  return sum as T;
}
