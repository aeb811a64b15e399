import type { TLSSocket } from 'node:tls';
import { type ReadCertificate, readCertificateDer } from '../../dps/certificate-reader.ts';

/** Nobody has a longer chain on purpose. */
const maxChain = 10;

const chains = new WeakMap<TLSSocket, ReadCertificate[]>();

/**
 * The client's certificates, leaf first, up to the first that cannot be read. Kept with the connection: they cannot change
 * on it. `getPeerCertificate()` would end Node 24 with a segmentation fault on Brainpool curves.
 */
export function presentedChain(socket: TLSSocket): ReadCertificate[] {
  const known = chains.get(socket);
  if (known !== undefined) {
    return known;
  }
  const chain: ReadCertificate[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < maxChain) {
    const { raw } = certificate;
    const read = readCertificateDer(raw);
    // A self-signed certificate is its own issuer there.
    if (read === undefined || chain.some(({ der }) => raw.equals(der))) {
      break;
    }
    chain.push(read);
    certificate = certificate.issuerCertificate;
  }
  chains.set(socket, chain);
  return chain;
}
