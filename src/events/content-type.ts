/** The parts of a content type that decide how a body is read; in lower case. */
export interface ContentType {
  /** `application/json`; empty where there is none. */
  readonly mediaType: string;
  readonly charset: string | undefined;
}

/** Types compare without regard to case, and may have parameters (RFC 9110, 8.3). */
export function readContentType(header: string | null | undefined): ContentType {
  const [type = '', ...parameters] = (header ?? '').split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((part) => part.startsWith('charset='))?.slice('charset='.length);
  return { mediaType: type, charset: charset?.replaceAll('"', '') };
}

/** ASCII is UTF-8, too; what claims to be ASCII and is not shows when it is decoded. */
export function isUtf8Charset({ charset }: ContentType): boolean {
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}

/** `application/json`, `text/json`, `application/vnd.contoso+json`, … */
export function isJsonType({ mediaType }: ContentType): boolean {
  return mediaType === 'application/json' || mediaType === 'text/json' || mediaType.endsWith('+json');
}

export const structuredType = 'application/cloudevents+json';
export const batchType = 'application/cloudevents-batch+json';
