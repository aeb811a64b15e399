import type { AddressInfo, Server, Socket } from 'node:net';
import { type AccessKey, isValidToken } from './access-token.ts';
import { entityNotFound, messageTooLarge, notAllowed, notImplemented } from './broker-error.ts';
import { prepareConnection } from './connection.ts';
import { openDoor, type ServerCertificate } from './door.ts';
import { manage } from './management.ts';
import { parseBatch, parseMessage } from './message.ts';
import { type Entity, inboxOf, type Namespace, type Target } from './namespace.ts';
import { bindReceivingLink } from './receiving-link.ts';
import { amqpErrorOf, rejectAlone } from './rejection.ts';
import { reply, replyOf } from './request-reply.ts';
import {
  type Container,
  createContainer,
  type DecodedMessage,
  type EventContext,
  type Link,
  messages,
  type SendingLink,
} from './rhea.ts';
import { Topic } from './topic.ts';

const batchFormat = 0x80013700;
const sessionFilter = 'com.microsoft:session-filter';
/** Azure's limit in the Standard tier, the whole message. */
const maxMessageSizeInBytes = 256 * 1024;
/** Unsettled deliveries that a session of a client may hold; rhea's own 2,048 would let one lost message stop a link. */
const sessionBuffer = { incoming: 2048, outgoing: 100_000 };

interface BrokerServerOptions {
  readonly host: string;
  readonly port: number;
  readonly key: AccessKey;
  readonly onError: (error: unknown) => void;
  /** For clients that insist on TLS. */
  readonly certificate?: (() => Promise<ServerCertificate>) | undefined;
}

/** Speaks AMQP 1.0 with Service Bus clients: connections, $cbs, $management, and links to entities. */
export class BrokerServer {
  readonly #namespace: Namespace;
  readonly #options: BrokerServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #targets = new WeakMap<Link, Target>();
  readonly #unbind = new WeakMap<Link, () => void>();
  #server: Server | undefined;

  constructor(namespace: Namespace, options: BrokerServerOptions) {
    this.#namespace = namespace;
    this.#options = options;
  }

  get port(): number {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    return address?.port ?? 0;
  }

  async listen(): Promise<void> {
    const container = createContainer('service-bus-emulator');
    acceptEverySaslMechanism(container);
    this.#handleEvents(container);
    const server = container.listen({
      host: this.#options.host,
      port: this.#options.port,
      tcp_no_delay: true,
      max_frame_size: 65_536,
      idle_time_out: 120_000,
      session_buffer_size: sessionBuffer,
      receiver_options: { autoaccept: false, credit_window: 1000 },
      sender_options: { autosettle: true, treat_modified_as_released: false },
    });
    this.#server = server;
    openDoor(server, this.#options.certificate);
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
  }

  dropConnections(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server?.close(() => resolve()));
    this.dropConnections();
    await closed;
  }

  #handleEvents(container: Container): void {
    const { onError } = this.#options;
    for (const event of ['error', 'connection_error', 'session_error', 'protocol_error']) {
      container.on(event, (context) => onError(context?.error ?? context));
    }
    for (const event of ['sender_error', 'receiver_error', 'connection_close']) {
      container.on(event, () => {});
    }
    container.on('connection_open', ({ connection }) =>
      prepareConnection(connection, (link) => this.#targets.get(link)?.kind === 'entity'),
    );
    container.on('receiver_open', ({ receiver }) =>
      orRefuse(receiver, () => this.#openSendingLink(receiver)),
    );
    container.on('sender_open', ({ sender }) => orRefuse(sender, () => this.#openReceivingLink(sender)));
    container.on('sender_close', ({ sender }) => this.#unbind.get(sender)?.());
    container.on('session_close', ({ session }) => session.each_link((link) => this.#unbind.get(link)?.()));
    container.on('disconnected', ({ connection }) => {
      for (const session of Object.values(connection.local_channel_map)) {
        session.each_link((link) => this.#unbind.get(link)?.());
      }
    });
    container.on('message', (context) => this.#takeMessage(context));
  }

  /** The client sends on this link: to an entity, or requests to $cbs or $management. */
  #openSendingLink(link: Link): void {
    if (link.target?.value === null) {
      throw notImplemented('transactions'); // rhea reads a coordinator as null
    }
    const address = link.target?.address ?? '';
    const target = this.#namespace.find(address);
    if (target === undefined) {
      throw entityNotFound(address);
    }
    this.#targets.set(link, target);
    link.set_target({ address });
    link.set_source({ address: link.source?.address });
    link.local.attach.snd_settle_mode = link.snd_settle_mode; // but settled first, whatever was asked for
    if (target.kind === 'entity') {
      link.local.attach.max_message_size = maxMessageSizeInBytes;
    }
  }

  /** The client receives on this link: from an entity, or answers of $cbs or $management. */
  #openReceivingLink(link: SendingLink): void {
    const address = link.source?.address ?? '';
    const target = this.#namespace.find(address);
    if (target === undefined) {
      throw entityNotFound(address);
    }
    if (sessionFilter in (link.source?.filter ?? {})) {
      throw notImplemented('sessions');
    }
    link.set_source({ address });
    link.set_target({ address: link.target?.address });
    // A client that asked for settled messages, and is not told so, takes tags that are used again for a fault.
    Object.assign(link.local.attach, {
      snd_settle_mode: link.snd_settle_mode,
      rcv_settle_mode: link.rcv_settle_mode,
    });
    if (target.kind !== 'entity') {
      return;
    }
    if (target.entity instanceof Topic) {
      throw notAllowed(`'${address}' is a topic: receive from a subscription.`);
    }
    const queue = target.entity;
    setImmediate(() => {
      if (link.is_open()) {
        this.#unbind.set(link, bindReceivingLink(link, queue));
      }
    });
  }

  #takeMessage(context: EventContext): void {
    const target = this.#targets.get(context.receiver);
    if (target === undefined) {
      return;
    }
    try {
      if (target.kind === 'cbs') {
        reply(context, this.#putToken(context.message as DecodedMessage));
      } else if (target.kind === 'management') {
        reply(context, answerManagement(target.entity, context.message as DecodedMessage));
      } else {
        takeForEntity(target.entity, context);
      }
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #putToken(request: DecodedMessage) {
    const { operation, name } = request.application_properties ?? {};
    if (operation !== 'put-token') {
      return replyOf(notImplemented(`the $cbs operation '${operation}'`));
    }
    if (!isValidToken(String(request.body), this.#options.key, Date.now())) {
      const description = 'InvalidSignature: The token has an invalid signature.';
      return { status: 401, description, condition: 'amqp:unauthorized-access' };
    }
    if (!this.#namespace.find(String(name))) {
      return replyOf(entityNotFound(String(name)));
    }
    return { status: 202, description: 'Accepted' };
  }
}

/** The client picks what is offered; who it is, it proves through $cbs. */
function acceptEverySaslMechanism(container: Container): void {
  const mechanisms = container.sasl_server_mechanisms;
  mechanisms.enable_anonymous();
  mechanisms.enable_plain(() => true);
  mechanisms.MSSBCBS = mechanisms.ANONYMOUS;
}

/** Carries out an attach, or refuses it by detaching at once with the error. */
function orRefuse(link: Link, open: () => void): void {
  try {
    open();
  } catch (error) {
    link.close(amqpErrorOf(error));
  }
}

function answerManagement(entity: Entity, request: DecodedMessage) {
  const operation = String(request.application_properties?.operation);
  try {
    return manage(entity, operation, (request.body ?? {}) as Readonly<Record<string, unknown>>);
  } catch (error) {
    return replyOf(error);
  }
}

function takeForEntity(entity: Entity, { receiver, delivery, message, format }: EventContext): void {
  try {
    const bytes = Buffer.isBuffer(message) ? message : messages.encode(message);
    if (bytes.length > maxMessageSizeInBytes) {
      throw messageTooLarge(bytes.length, maxMessageSizeInBytes);
    }
    const inbox = inboxOf(entity);
    for (const parsed of format === batchFormat ? parseBatch(bytes) : [parseMessage(bytes)]) {
      inbox.enqueue(parsed);
    }
    delivery.accept();
  } catch (error) {
    rejectAlone(receiver, delivery, error);
  }
}
