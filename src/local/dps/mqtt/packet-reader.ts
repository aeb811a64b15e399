import { type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { maxPacketBytes } from '../limits.ts';

/** Something that MQTT 3.1.1 forbids: the connection is closed. */
export class ProtocolViolation extends Error {
  override readonly name: string = 'ProtocolViolation';
}

/** A CONNECT of another version of MQTT, which is answered before the connection is closed [MQTT-3.1.2-2]. */
export class UnacceptableProtocolVersion extends ProtocolViolation {
  override readonly name = 'UnacceptableProtocolVersion';
}

const empty = Buffer.alloc(0);
const connectPacket = 0x10;
const protocol311 = Buffer.from('\0\x04MQTT\x04', 'latin1');
/** Protocol names of MQTT 3.1.1 and 5, and of 3.1. */
const protocolNames = ['\0\x04MQTT', '\0\x06MQIsdp'];
const maxLengthBytes = 4;

/** Cuts a stream into packets. Each is parsed alone, once it is whole, so that none reads into the next. */
export class PacketReader {
  #chunks: Buffer[] = [];
  #size = 0;
  /** Nothing can be said before there are so many bytes. */
  #wanted = 2;
  #isFirst = true;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /**
   * @returns the next packet, or undefined if it is not there yet.
   * @throws ProtocolViolation
   */
  next(): Packet | undefined {
    if (this.#size < this.#wanted) {
      return undefined;
    }
    const [first = empty] = this.#chunks;
    const bytes = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    if (this.#isFirst && bytes[0] !== connectPacket) {
      throw new ProtocolViolation('The first packet must be CONNECT.');
    }
    const length = packetLength(bytes);
    if (length === undefined || bytes.length < length) {
      this.#chunks = [bytes];
      this.#wanted = length ?? bytes.length + 1;
      return undefined;
    }
    // A view of nothing would keep the whole chunk in memory.
    this.#chunks = bytes.length === length ? [] : [bytes.subarray(length)];
    this.#size -= length;
    this.#wanted = 2;
    this.#isFirst = false;
    return parsePacket(bytes.subarray(0, length));
  }
}

/** Length of the packet at the start, with its header; undefined as long as it is not known. */
function packetLength(bytes: Buffer): number | undefined {
  let remaining = 0;
  for (let digit = 0; digit < maxLengthBytes; digit++) {
    const byte = bytes[1 + digit];
    if (byte === undefined) {
      return undefined;
    }
    remaining += (byte & 0x7f) * 128 ** digit;
    if (byte < 0x80) {
      return checkedLength(remaining + digit + 2);
    }
  }
  throw new ProtocolViolation('The remaining length takes more than four bytes.');
}

function checkedLength(length: number): number {
  if (length > maxPacketBytes) {
    throw new ProtocolViolation(`A packet of ${length} bytes is too long.`);
  }
  return length;
}

function parsePacket(bytes: Buffer): Packet {
  if (bytes[0] === connectPacket) {
    checkVersion(bytes);
  }
  let packet: Packet | undefined;
  let problem: unknown;
  const reader = parser();
  reader.on('packet', (parsed) => {
    packet = parsed;
  });
  reader.on('error', (error) => {
    problem = error;
  });
  try {
    reader.parse(bytes);
  } catch (error) {
    problem = error;
  }
  if (packet === undefined || problem !== undefined) {
    throw new ProtocolViolation(`A packet is malformed: ${problem ?? 'it is not whole'}`);
  }
  checkFields(packet);
  return packet;
}

function checkVersion(bytes: Buffer): void {
  const content = bytes.subarray(bytes.findIndex((byte, at) => at > 0 && byte < 0x80) + 1);
  if (content.subarray(0, protocol311.length).equals(protocol311)) {
    return;
  }
  const start = content.toString('latin1', 0, 8);
  if (protocolNames.some((name) => start.startsWith(name) && content.length > name.length)) {
    throw new UnacceptableProtocolVersion('Only MQTT 3.1.1 is spoken here.');
  }
  throw new ProtocolViolation('CONNECT names another protocol.');
}

/** What MQTT forbids and the parser lets pass. */
function checkFields(packet: Packet): void {
  const { cmd, messageId } = packet;
  const isNumbered = cmd === 'subscribe' || cmd === 'unsubscribe' || (cmd === 'publish' && packet.qos > 0);
  if (isNumbered && !messageId) {
    throw new ProtocolViolation('The packet identifier is missing.');
  }
  if (cmd === 'subscribe' && packet.subscriptions.length === 0) {
    throw new ProtocolViolation('SUBSCRIBE names no filter.');
  }
  if (cmd === 'unsubscribe' && packet.unsubscriptions.length === 0) {
    throw new ProtocolViolation('UNSUBSCRIBE names no filter.');
  }
  if (cmd === 'publish' && packet.dup && packet.qos === 0) {
    throw new ProtocolViolation('A PUBLISH of QoS 0 is a duplicate.');
  }
  if (cmd === 'connect' && hasPasswordAlone(packet)) {
    throw new ProtocolViolation('CONNECT has a password and no user name.');
  }
}

function hasPasswordAlone({ username, password }: IConnectPacket): boolean {
  return password !== undefined && username === undefined;
}
