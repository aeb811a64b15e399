import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

const chains = new WeakMap<TLSSocket, X509Certificate[]>();

/** The client's certificates, leaf first. Kept with the connection: they cannot change on it. */
export function presentedChain(socket: TLSSocket): X509Certificate[] {
  const known = chains.get(socket);
  if (known !== undefined) return known;
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerCertificate(true);
  // A self-signed certificate is its own issuer there.
  while (certificate?.raw !== undefined && !chain.some(({ raw }) => raw.equals(certificate.raw))) {
    chain.push(new X509Certificate(certificate.raw));
    certificate = certificate.issuerCertificate;
  }
  chains.set(socket, chain);
  return chain;
}
