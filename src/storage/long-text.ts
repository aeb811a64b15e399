/** A property holds 64 KiB of UTF-16; a longer text is split over `name`, `name_1`, `name_2`, … */
export const maxPropertyCharacters = 32_000;

export function splitText(name: string, text: string): Record<string, string> {
  const parts: Record<string, string> = {};
  for (let index = 0; index === 0 || index * maxPropertyCharacters < text.length; index++) {
    const part = text.slice(index * maxPropertyCharacters, (index + 1) * maxPropertyCharacters);
    parts[index === 0 ? name : `${name}_${index}`] = part;
  }
  return parts;
}

export function joinText(name: string, entity: Readonly<Record<string, unknown>>): string | undefined {
  const first = entity[name];
  if (typeof first !== 'string') {
    return undefined;
  }
  let text = first;
  for (let index = 1; typeof entity[`${name}_${index}`] === 'string'; index++) {
    text += entity[`${name}_${index}`];
  }
  return text;
}
