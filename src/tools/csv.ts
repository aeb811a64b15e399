/** What separates fields: German Excel wants semicolons. */
export type Delimiter = ',' | ';';

export const delimiterRule = 'The delimiter can be comma or semicolon.';

/** As a query says it; undefined: that is none. */
export function delimiterOf(text: string | null): Delimiter | undefined {
  if (text === null || text === '' || text === 'comma' || text === ',') {
    return ',';
  }
  return text === 'semicolon' || text === ';' ? ';' : undefined;
}

/** Excel takes a text for UTF-8 only behind this. */
export const byteOrderMark = '\ufeff';

export type CsvValue = string | number | boolean | undefined;

/** RFC 4180. */
export function csvText(rows: readonly (readonly CsvValue[])[], delimiter: Delimiter = ','): string {
  return [...rows.map((row) => row.map((value) => csvField(value, delimiter)).join(delimiter)), ''].join(
    '\r\n',
  );
}

/** A field that a spreadsheet would take for a formula is made a text. */
function csvField(value: CsvValue, delimiter: Delimiter): string {
  const text = value === undefined ? '' : String(value);
  const harmless =
    typeof value === 'string' && /^[\s\p{Cc}]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/u.test(text)
      ? `'${text}`
      : text;
  return /["\r\n]/.test(harmless) || harmless.includes(delimiter)
    ? `"${harmless.replaceAll('"', '""')}"`
    : harmless;
}
