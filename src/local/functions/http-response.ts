import type { ServerResponse } from 'node:http';
import type { CookieData, InvocationResponse } from './protocol.ts';

const notForApps = /^(transfer-encoding|connection|keep-alive|content-length)$/i;

/** Writes what the function returned; nothing returned is a 204. */
export function writeResponse(response: ServerResponse, returned: InvocationResponse): void {
  const http = returned.returnValue?.http ?? returned.outputData?.find(({ data }) => data.http)?.data.http;
  if (http === undefined) {
    endWith(response, 204);
    return;
  }
  response.statusCode = Number(http.statusCode ?? 200);
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    if (!notForApps.test(name)) {
      response.setHeader(name, value);
    }
  }
  if (http.cookies?.length) {
    response.setHeader('set-cookie', http.cookies.map(cookieHeader));
  }
  const body = http.body?.bytes ?? Buffer.from(http.body?.string ?? '');
  if (body.length > 0) {
    response.setHeader('content-length', body.length);
  }
  response.end(body);
}

export function endWith(response: ServerResponse, status: number, json?: unknown): void {
  response.statusCode = status;
  if (json === undefined) {
    response.end();
    return;
  }
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(json));
}

function cookieHeader(cookie: CookieData): string {
  const parts = [`${encodeURIComponent(cookie.name)}=${encodeURIComponent(cookie.value)}`];
  if (cookie.maxAge) {
    parts.push(`Max-Age=${cookie.maxAge.value}`);
  }
  if (cookie.domain) {
    parts.push(`Domain=${cookie.domain.value}`);
  }
  if (cookie.path) {
    parts.push(`Path=${cookie.path.value}`);
  }
  if (cookie.expires) {
    parts.push(`Expires=${new Date(cookie.expires.value.seconds * 1000).toUTCString()}`);
  }
  if (cookie.httpOnly?.value) {
    parts.push('HttpOnly');
  }
  if (cookie.secure?.value) {
    parts.push('Secure');
  }
  const sameSite = { lax: 'Lax', strict: 'Strict', explicitNone: 'None', none: undefined }[
    cookie.sameSite ?? 'none'
  ];
  if (sameSite !== undefined) {
    parts.push(`SameSite=${sameSite}`);
  }
  return parts.join('; ');
}
