import { constants } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** Longer than clients keep idle connections, so that they never send on one that is just being closed. */
const KEEP_ALIVE_MS = 120_000;

export interface Listener {
  readonly port: number;
  /** Cuts what is still connected: nobody is waited for. */
  close(): Promise<void>;
}

/** @throws Error with `code` EADDRINUSE and `port` if the port is taken. */
export function listenPlain(handle: RequestListener, host: string, port: number): Promise<Listener> {
  return listen(createHttpServer(handle), host, port);
}

/** Asks clients for a certificate; whether it is good is for the enrollment to say. @throws Error as `listenPlain` */
export function listenTls(
  handle: RequestListener,
  certificate: { key: string; cert: string },
  host: string,
  port: number,
): Promise<Listener> {
  const options = {
    ...certificate,
    requestCert: true,
    rejectUnauthorized: false,
    // Node loses the client's intermediate certificates when a TLS session is resumed, so there are no sessions.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  return listen(createHttpsServer(options, handle), host, port);
}

function listen(server: Server, host: string, port: number): Promise<Listener> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  // The server knows its HTTP connections only, not those that are still in their TLS handshake.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve({ port: (server.address() as AddressInfo).port, close });
    });
  });
}
