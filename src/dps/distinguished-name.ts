import { type DerElement, DerError, type DerReader, derTags, dottedOf, hexOf } from './der.ts';

/** A name as DPS writes it, and its most specific common name. */
export interface DistinguishedName {
  /** `CN=dev-1, O=Contoso`: the most specific part first, as .NET has it. */
  readonly text: string;
  readonly commonName: string | undefined;
}

const commonNameOid = '550403';

/** By object identifier in hex. .NET has no names for others, and writes `OID.1.2.3`. */
const attributeNames: Readonly<Record<string, string>> = {
  [commonNameOid]: 'CN',
  '550404': 'SN',
  '550405': 'SERIALNUMBER',
  '550406': 'C',
  '550407': 'L',
  '550408': 'S',
  '550409': 'STREET',
  '55040a': 'O',
  '55040b': 'OU',
  '55040c': 'T',
  '55042a': 'G',
  '55042b': 'I',
  '2a864886f70d010901': 'E',
  '0992268993f22c640119': 'DC',
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true });

/** Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value ANY }. @throws DerError */
export function readName(reader: DerReader, name: DerElement): DistinguishedName {
  const parts: string[] = [];
  let commonName: string | undefined;
  const sets = reader.inside(name);
  while (!sets.isAtEnd) {
    const attributes = sets.inside(sets.next(derTags.set));
    const texts: string[] = [];
    do {
      const attribute = attributes.inside(attributes.next(derTags.sequence));
      const type = attribute.content(attribute.next(derTags.objectIdentifier));
      const value = textOf(attribute, attribute.next());
      attribute.finish();
      const oid = hexOf(type);
      if (oid === commonNameOid) {
        commonName = value;
      }
      texts.push(`${attributeNames[oid] ?? `OID.${dottedOf(type)}`}=${quoted(value)}`);
    } while (!attributes.isAtEnd);
    parts.push(texts.join(' + '));
  }
  return { text: parts.reverse().join(', '), commonName };
}

function textOf(reader: DerReader, value: DerElement): string {
  const content = reader.content(value);
  switch (value.tag) {
    case 0x0c: // UTF8String
      return decoded(utf8, content);
    case 0x1e: // BMPString
      return decoded(utf16, content);
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x14: // TeletexString, which is Latin-1 in practice
    case 0x16: // IA5String
    case 0x1a: // VisibleString
      return Buffer.from(content).toString('latin1');
    default:
      return `#${hexOf(content)}`;
  }
}

function decoded(decoder: { decode(content: Uint8Array): string }, content: Uint8Array): string {
  try {
    return decoder.decode(content);
  } catch {
    throw new DerError('A name is not encoded as it says.');
  }
}

/** .NET quotes where OpenSSL escapes. */
function quoted(value: string): string {
  const isPlain = !/[,+="<>#;\n]|^\s|\s$/.test(value);
  return isPlain ? value : `"${value.replaceAll('"', '""')}"`;
}
