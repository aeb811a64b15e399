/** What rhea leaves to be done on each connection. */
import type { Socket } from 'node:net';
import type { Connection, Link } from './rhea.ts';

const emptyFrame = Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]);
/** A private message format: rhea hands over what it does not know as bytes. */
export const rawFormat = 0x7fff0001;

export function prepareConnection(connection: Connection, isRawLink: (link: Link) => boolean): void {
  connection.socket.once('close', () => connection._disconnected()); // rhea listens to 'end' and 'error' only
  breakSilence(connection.socket);
  keepMessagesRaw(connection, isRawLink);
  tellDirectionsApart(connection);
}

/**
 * The client leaves Nagle's algorithm on and writes small frames, so each waits for our delayed acknowledgement (40 ms).
 * Silence is answered with an empty frame, which carries the acknowledgement.
 */
function breakSilence(socket: Socket): void {
  let written = 0;
  socket.on('data', () =>
    setImmediate(() => {
      if (socket.writable && socket.bytesWritten === written) {
        socket.write(emptyFrame);
      }
      written = socket.bytesWritten;
    }),
  );
}

/** rhea decodes messages of format 0. Relabelled, what is sent to an entity arrives as the bytes that were sent. */
function keepMessagesRaw(connection: Connection, isRawLink: (link: Link) => boolean): void {
  const route = connection.on_transfer;
  connection.on_transfer = (frame) => {
    const { performative } = frame;
    const link = connection.remote_channel_map[frame.channel]?.remote.handles[performative.handle];
    if (link && isRawLink(link) && performative.message_format === 0) {
      performative.message_format = rawFormat;
    }
    route.call(connection, frame);
  };
}

/** Two links may share a name if they go opposite ways (Qpid Proton's do). rhea keeps links by name: the second gets another. */
function tellDirectionsApart(connection: Connection): void {
  const route = connection.on_attach;
  connection.on_attach = (frame) => {
    const { performative, channel } = frame;
    const { name } = performative;
    const session = connection.remote_channel_map[channel];
    if (session?.links[name] === undefined) {
      route.call(connection, frame);
      return;
    }
    const ownName = `${name} (the other way)`;
    performative.name = ownName;
    route.call(connection, frame);
    const link = session.links[ownName];
    if (link) {
      link.local.attach.name = name;
    }
  };
}
