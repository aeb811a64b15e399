import { constants } from 'node:crypto';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { presentedChain } from './client-certificates.ts';
import { type MqttContext, MqttSession } from './mqtt/session.ts';
import { acceptWebSockets } from './mqtt/web-sockets.ts';

/** Longer than clients keep idle connections, so that they never send on one that is just being closed. */
const keepAliveMs = 120_000;
const tcpKeepAliveMs = 60_000;
const handshakeTimeoutMs = 30_000;

export interface Listener {
  readonly port: number;
  /** Cuts what is still connected: nobody is waited for. */
  close(): Promise<void>;
}

/** @throws Error with `code` EADDRINUSE and `port` if the port is taken. */
export function listenPlain(handle: RequestListener, host: string, port: number): Promise<Listener> {
  return listen(createHttpServer(handle), host, port);
}

/** HTTPS, and MQTT over WebSockets. @throws Error as `listenPlain` */
export function listenTls(
  handle: RequestListener,
  mqtt: MqttContext,
  certificate: ServerCertificate,
  host: string,
  port: number,
): Promise<Listener> {
  const server = createHttpsServer(tlsOptions(certificate), handle);
  acceptWebSockets(server, mqtt);
  return listen(server, host, port);
}

/** MQTT over TLS. @throws Error as `listenPlain` */
export function listenMqtt(
  context: MqttContext,
  certificate: ServerCertificate,
  host: string,
  port: number,
): Promise<Listener> {
  const server = createTlsServer(tlsOptions(certificate), (socket) => {
    // A peer that is gone without a word is noticed, whatever keep-alive MQTT was asked for.
    socket.setKeepAlive(true, tcpKeepAliveMs);
    new MqttSession(socket, () => presentedChain(socket), context);
  });
  return listen(server, host, port);
}

interface ServerCertificate {
  readonly key: string;
  readonly cert: string;
}

/** Asks clients for a certificate; whether it is good is for the enrollment to say. */
function tlsOptions(certificate: ServerCertificate) {
  return {
    ...certificate,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeTimeoutMs,
    // Node loses the client's intermediate certificates when a TLS session is resumed, so there are no sessions.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function listen(server: HttpServer | TlsServer, host: string, port: number): Promise<Listener> {
  if ('keepAliveTimeout' in server) {
    server.keepAliveTimeout = keepAliveMs;
  }
  // The server knows its HTTP connections only, not those that are still in their TLS handshake.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) {
        socket.destroy();
      }
    });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve({ port: (server.address() as AddressInfo).port, close });
    });
  });
}
