/** A page cannot be shown as it was asked for. */
export class PageError extends Error {
  override name = 'PageError';
}

export function onlyParameters(query: URLSearchParams, names: readonly string[]): void {
  for (const name of query.keys()) {
    if (!names.includes(name)) {
      throw new PageError(
        `There is no parameter "${name.slice(0, 60)}" here. There are: ${names.join(', ')}.`,
      );
    }
  }
}

export function oneOf<T extends string>(name: string, value: string, values: readonly T[]): T {
  const found = values.find((each) => each === value);
  if (found === undefined) {
    throw new PageError(`"${name}" cannot be "${value.slice(0, 60)}". It can be: ${values.join(', ')}.`);
  }
  return found;
}

export function dateOf(name: string, value: string | null): string | undefined {
  if (value === null || value === '') {
    return undefined;
  }
  if (Number.isNaN(Date.parse(value))) {
    throw new PageError(`"${name}" must be a date, such as 2026-11-23.`);
  }
  return new Date(value).toISOString();
}

/** A day is meant whole. */
export function endOfDay(iso: string | undefined): string | undefined {
  return iso?.replace('T00:00:00.000Z', 'T23:59:59.999Z');
}
