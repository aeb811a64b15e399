import type { IncomingMessage } from 'node:http';

const localName = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Whether a page of another site sends this request through the browser of somebody on this machine: browsers say where
 * the page is from, and a name that was made to point here (DNS rebinding) is not a name of this machine. Clients that are
 * no browsers send no `Origin`, and call a listener of this machine by its own name.
 */
export function isFromForeignPage({ headers, socket }: IncomingMessage): boolean {
  const isOwnOrigin = headers.origin === undefined || URL.parse(headers.origin)?.host === headers.host;
  const isLoopback = isLoopbackAddress(socket.localAddress);
  const hasLocalName = localName.test(headers.host ?? 'localhost');
  return !isOwnOrigin || (isLoopback && !hasLocalName);
}

export function isLoopbackAddress(address: string | undefined): boolean {
  return /^(?:(?:::ffff:)?127\.|::1$)/.test(address ?? '');
}
