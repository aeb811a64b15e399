import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { presentedChain } from '../client-certificates.ts';
import { isFromForeignPage } from '../foreign-pages.ts';
import { maxPacketBytes } from '../limits.ts';
import { type MqttContext, MqttSession } from './session.ts';

/** The SDKs for Node, Python and C use the first, the one for .NET the second. */
const paths = new Set(['/$iothub/websocket', '/']);
/** Of a frame, which may hold several packets. */
const maxFrameBytes = 4 * maxPacketBytes;
const unsupportedData = 1003;

/** Takes MQTT over WebSockets from a server of HTTPS. */
export function acceptWebSockets(server: Server, context: MqttContext): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    // What the client wrote goes back as it is: the SDK for C writes it in capitals.
    handleProtocols: (offered) => mqttOf(offered) ?? false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      const response = `HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
      socket.end(response, () => socket.destroy());
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      serveWebSocket(webSocket, request, context);
    });
  });
}

function serveWebSocket(webSocket: WebSocket, { socket }: IncomingMessage, context: MqttContext): void {
  // MQTT travels in binary frames [MQTT-6.0.0-1].
  webSocket.on('message', (_data, isBinary) => {
    if (isBinary) {
      return;
    }
    webSocket.close(unsupportedData);
    session.close();
  });
  const chain = () => (socket instanceof TLSSocket ? presentedChain(socket) : []);
  const session = new MqttSession(createWebSocketStream(webSocket), chain, context);
}

function refusalOf(request: IncomingMessage): string | undefined {
  const { url = '', headers } = request;
  if (!paths.has(url.replace(/\?.*$/s, ''))) {
    return '404 Not Found';
  }
  if (isFromForeignPage(request)) {
    return '403 Forbidden';
  }
  const offered = String(headers['sec-websocket-protocol'] ?? '').split(',');
  return mqttOf(offered.map((protocol) => protocol.trim())) === undefined ? '400 Bad Request' : undefined;
}

function mqttOf(protocols: Iterable<string>): string | undefined {
  for (const protocol of protocols) {
    if (protocol.toLowerCase() === 'mqtt') {
      return protocol;
    }
  }
  return undefined;
}
