/**
 * The parts of rhea that the emulator touches, its internals included. Its own typings leave the internals out, and the
 * workarounds in connection.ts and receiving-link.ts depend on them: rhea's version is pinned in package.json.
 */
import type { EventEmitter } from 'node:events';
import type { Server, Socket } from 'node:net';
import rhea from 'rhea';

/** A value together with its AMQP type. */
export interface Typed {
  readonly value: unknown;
  readonly descriptor?: { readonly value: unknown };
}

export interface Reader {
  position: number;
  read(): Typed;
  remaining(): number;
}

export interface Writer {
  write(value: Typed): void;
  toBuffer(): Buffer;
}

interface Types {
  readonly Reader: new (buffer: Buffer) => Reader;
  readonly Writer: new () => Writer;
  described(descriptor: Typed, value: Typed): Typed;
  wrap(value: unknown): Typed;
  wrap_array(values: readonly unknown[], typeCode: number): Typed;
  wrap_boolean(value: boolean): Typed;
  wrap_int(value: number): Typed;
  wrap_list(values: readonly Typed[]): Typed;
  wrap_long(value: number | Buffer): Typed;
  wrap_string(value: string): Typed;
  wrap_symbol(value: string): Typed;
  wrap_timestamp(value: number): Typed;
  wrap_uint(value: number): Typed;
  wrap_ulong(value: number): Typed;
  wrap_uuid(value: Buffer): Typed;
  List32(values: readonly unknown[]): Typed;
  Map32(flatPairs: readonly unknown[]): Typed;
}

interface Messages {
  encode(message: unknown): Buffer;
  header(fields: Record<string, unknown>): { described(): Typed };
  accepted(): { described(): Typed };
  rejected(fields: { error: AmqpError }): { described(): Typed };
}

export interface AmqpError {
  readonly condition: string;
  readonly description: string;
}

/** A message that rhea decoded: what $cbs and $management are sent. */
export interface DecodedMessage {
  readonly message_id?: unknown;
  readonly reply_to?: string;
  readonly body?: unknown;
  readonly application_properties?: Readonly<Record<string, unknown>>;
}

export interface Outcome {
  readonly undeliverable_here?: boolean;
  readonly message_annotations?: Record<string, unknown>;
  readonly error?: { readonly info?: Record<string, unknown> };
}

export interface Delivery {
  readonly id: number;
  settled: boolean;
  remote_settled: boolean;
  readonly remote_state?: Outcome;
  accept(): void;
  update(settled: boolean, state: Typed): void;
}

export interface Link extends EventEmitter {
  readonly name: string;
  readonly connection: Connection;
  readonly session: Session;
  readonly source?: { readonly address?: string; readonly filter?: Readonly<Record<string, unknown>> };
  readonly target?: { readonly address?: string; readonly value?: unknown };
  readonly snd_settle_mode?: number;
  readonly rcv_settle_mode?: number;
  readonly local: {
    readonly attach: {
      name: string;
      max_message_size?: number;
      snd_settle_mode?: number | undefined;
      rcv_settle_mode?: number;
    };
  };
  credit: number;
  delivery_count: number;
  _draining?: boolean;
  _drained?: boolean;
  _get_drain(): boolean;
  close(error?: AmqpError): void;
  is_open(): boolean;
  is_receiver(): boolean;
  set_source(fields: Record<string, unknown>): void;
  set_target(fields: Record<string, unknown>): void;
}

export interface SendingLink extends Link {
  send(message: Record<string, unknown>): Delivery;
  send(message: Buffer, tag: Buffer, format: number): Delivery;
  set_drained(drained: boolean): void;
}

export interface Session {
  readonly outgoing: { available(): number };
  each_link(action: (link: Link) => void): void;
  find_sender(filter: (link: Link) => boolean): SendingLink | undefined;
  output(frame: { described(): Typed }): void;
}

export interface AttachFrame {
  readonly channel: number;
  readonly performative: { name: string };
}

export interface TransferFrame {
  readonly channel: number;
  readonly performative: { readonly handle: number; message_format: number };
}

export interface Connection {
  readonly socket: Socket;
  readonly local_channel_map: Readonly<Record<string, Session>>;
  readonly remote_channel_map: Readonly<
    Record<
      number,
      {
        readonly remote: { readonly handles: Readonly<Record<number, Link>> };
        readonly links: Readonly<Record<string, Link>>;
      }
    >
  >;
  on_attach(frame: AttachFrame): void;
  on_transfer(frame: TransferFrame): void;
  _disconnected(): void;
  /** Has the connection write what is pending, once the current tick ends. */
  _register(): void;
}

/** What an event hands to its listener. Which members are there depends on the event. */
export interface EventContext {
  readonly connection: Connection;
  readonly session: Session;
  readonly sender: SendingLink;
  readonly receiver: Link;
  readonly delivery: Delivery;
  readonly message: unknown;
  readonly format?: number;
  readonly error?: unknown;
}

export interface Container {
  readonly sasl_server_mechanisms: Record<string, unknown> & {
    enable_anonymous(): void;
    enable_plain(check: () => boolean): void;
  };
  on(event: string, listener: (context: EventContext) => void): void;
  listen(options: Record<string, unknown>): Server;
}

interface Rhea {
  readonly types: Types;
  readonly message: Messages;
  create_container(options: { id: string }): Container;
}

export const { types, message: messages } = rhea as unknown as Rhea;

export function createContainer(id: string): Container {
  return (rhea as unknown as Rhea).create_container({ id });
}
