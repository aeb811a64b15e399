/**
 * One port for whoever comes: AMQP, AMQP within TLS (clients that know no emulator insist on it), and HTTP, in which
 * administration clients ask for what is not here.
 */
import type { Server, Socket } from 'node:net';
import tls from 'node:tls';

/** As PEM. */
export interface ServerCertificate {
  readonly key: string;
  readonly cert: string;
}

type Accept = (socket: Socket) => void;

const handshakeRecord = 0x16;

/** Takes the server's connections over from whoever listens to it now, and hands it those that speak AMQP. */
export function openDoor(server: Server, certificate: (() => Promise<ServerCertificate>) | undefined): void {
  const [accept] = server.listeners('connection') as Accept[];
  if (accept === undefined) {
    throw new Error('Nobody listens to this server.');
  }
  server.removeAllListeners('connection');
  let secured: Promise<tls.Server> | undefined;
  server.on('connection', (socket) => {
    socket.on('error', () => {}); // one that breaks before anybody else listens
    socket.once('data', (first) => {
      socket.pause();
      socket.unshift(first);
      if (first[0] !== handshakeRecord) {
        if (first.toString('latin1', 0, 4) === 'AMQP') {
          accept(socket);
        } else {
          refuseHttp(socket);
        }
        socket.resume();
        return;
      }
      secured ??= secureServer(certificate, accept);
      secured.then(
        (secure) => secure.emit('connection', socket),
        () => socket.destroy(),
      );
    });
  });
}

async function secureServer(
  certificate: (() => Promise<ServerCertificate>) | undefined,
  accept: Accept,
): Promise<tls.Server> {
  if (certificate === undefined) {
    throw new Error('This emulator was given no certificate.');
  }
  const secure = tls.createServer({ ...(await certificate()) });
  secure.on('secureConnection', accept);
  secure.on('tlsClientError', (_error, socket) => socket.destroy());
  return secure;
}

/** In the form that administration clients read an error in. */
function refuseHttp(socket: Socket): void {
  const detail =
    'This emulator does not implement the administration API (entities are given when it is started), nor AMQP over ' +
    'WebSockets. It speaks AMQP on this port.';
  const body = `<Error><Code>501</Code><Detail>${detail}</Detail></Error>`;
  const head = [
    'HTTP/1.1 501 Not Implemented',
    'content-type: application/xml',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
