import { lockLost, messageNotFound } from './broker-error.ts';
import { Consumers } from './consumers.ts';
import { deadLetterPolicy, expired, tooManyDeliveries } from './dead-lettering.ts';
import { Deadlines } from './deadlines.ts';
import { DuplicateWindow } from './duplicate-window.ts';
import { Heap } from './heap.ts';
import { newLockToken } from './lock-token.ts';
import { encodeMessage, type Message, withApplicationProperties, withTimeToLive } from './message.ts';
import type {
  Consumer,
  Counts,
  DeadLettering,
  QueuePolicy,
  Settlement,
  State,
  StoredMessage,
} from './queue-types.ts';
import { Sequence } from './sequence.ts';

/**
 * One queue, or one subscription of a topic, with its dead-letter queue. Each message has one state, and each state at
 * most one deadline: a scheduled message becomes active, a lock runs out, any other message expires.
 */
export class Queue {
  readonly policy: QueuePolicy;
  readonly deadLetters: Queue | undefined;
  readonly #now: () => number;
  readonly #messages = new Sequence<StoredMessage>();
  readonly #locked = new Map<string, StoredMessage>();
  readonly #ready = new Heap<StoredMessage>((a, b) => a.sequenceNumber < b.sequenceNumber);
  readonly #consumers = new Consumers();
  readonly #tally = { active: 0, locked: 0, deferred: 0, scheduled: 0 };
  readonly #deadlines: Deadlines;
  readonly #duplicates: DuplicateWindow;
  #lastSequenceNumber = 0;

  constructor(policy: QueuePolicy, now: () => number, kind: 'queue' | 'dead-letter queue' = 'queue') {
    this.policy = policy;
    this.#now = now;
    this.#deadlines = new Deadlines(now, () => this.runDeadlines());
    this.#duplicates = new DuplicateWindow(policy.duplicateDetectionWindowInMs);
    this.deadLetters =
      kind === 'dead-letter queue'
        ? undefined
        : new Queue(deadLetterPolicy(policy), now, 'dead-letter queue');
  }

  get counts(): Counts {
    return { ...this.#tally, deadLetter: this.deadLetters?.size ?? 0 };
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Takes a message in; a duplicate is acknowledged and dropped. Answers the sequence number. */
  enqueue(message: Message): number {
    const now = this.#now();
    const sequenceNumber = ++this.#lastSequenceNumber;
    if (!this.#duplicates.admits(message.id, now)) {
      return sequenceNumber;
    }
    const stored = this.#store(withTimeToLive(message, this.policy.defaultTimeToLiveInMs), sequenceNumber);
    if (message.scheduledFor > now) {
      this.#become(stored, 'scheduled', message.scheduledFor);
    } else {
      this.#makeActive(stored);
    }
    return sequenceNumber;
  }

  attach(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.offer();
  }

  /** What the consumer holds stays locked until the locks run out, as in the service. */
  detach(consumer: Consumer): void {
    this.#consumers.remove(consumer);
  }

  /** To be called when a consumer's capacity has grown. */
  offer(): void {
    this.runDeadlines();
    this.#handOut();
  }

  settle(token: string, settlement: Settlement): void {
    const stored = this.#heldBy(token);
    if ('properties' in settlement && settlement.as !== 'deadLetter') {
      stored.message = withApplicationProperties(stored.message, settlement.properties);
    }
    switch (settlement.as) {
      case 'complete':
        this.#remove(stored);
        break;
      case 'release':
        this.#makeAvailable(stored);
        break;
      case 'abandon':
        this.#failDelivery(stored);
        break;
      case 'defer':
        stored.wasDeferred = true;
        this.#makeAvailable(stored);
        break;
      case 'deadLetter':
        this.#deadLetter(stored, settlement);
        break;
    }
  }

  /** Answers until when the lock now holds. */
  renewLock(token: string): number {
    const stored = this.#heldBy(token);
    const until = this.#now() + this.policy.lockDurationInMs;
    stored.lock = { token, until };
    this.#deadlines.set(stored, until);
    return until;
  }

  /** Looks without locking. Scheduled and deferred messages are seen, too. */
  peek(from: number, count: number): Buffer[] {
    this.runDeadlines();
    return this.#messages.from(from, count).map((stored) => this.encode(stored));
  }

  cancelScheduled(sequenceNumber: number): void {
    const stored = this.#messages.get(sequenceNumber);
    if (stored?.state !== 'scheduled') {
      throw messageNotFound([sequenceNumber]);
    }
    this.#remove(stored);
  }

  receiveDeferred(sequenceNumbers: readonly number[], peekLock: boolean): StoredMessage[] {
    this.runDeadlines();
    const found = sequenceNumbers
      .map((number) => this.#messages.get(number))
      .filter((stored) => stored?.state === 'deferred') as StoredMessage[];
    if (found.length !== sequenceNumbers.length) {
      throw messageNotFound(sequenceNumbers);
    }
    for (const stored of found) {
      if (peekLock) {
        this.#lock(stored);
      } else {
        this.#remove(stored);
      }
    }
    return found;
  }

  encode(stored: StoredMessage, lockToken?: Buffer): Buffer {
    const state = stored.state === 'scheduled' ? 'scheduled' : stored.wasDeferred ? 'deferred' : 'active';
    return encodeMessage(stored.message, {
      sequenceNumber: stored.sequenceNumber,
      enqueuedSequenceNumber: stored.sequenceNumber,
      enqueuedAt: stored.enqueuedAt,
      deliveryCount: stored.deliveryCount,
      state,
      ...(stored.lock && { lockedUntil: stored.lock.until }),
      ...(lockToken && { lockToken }),
    });
  }

  /** Does what the clock demands by now. A timer calls it; so must whoever turns a clock of their own. */
  runDeadlines(): void {
    for (let due = this.#deadlines.due(); due !== undefined; due = this.#deadlines.due()) {
      if (due.state === 'scheduled') {
        this.#activateScheduled(due);
      } else if (due.state === 'locked') {
        this.#failDelivery(due);
      } else {
        this.#expire(due);
      }
    }
    this.#deadlines.arm();
  }

  stop(): void {
    this.#deadlines.stop();
    this.deadLetters?.stop();
  }

  #store(message: Message, sequenceNumber: number): StoredMessage {
    const enqueuedAt = this.#now();
    const stored: StoredMessage = {
      message,
      sequenceNumber,
      enqueuedAt,
      expiresAt: enqueuedAt + message.timeToLiveInMs,
      deliveryCount: 0,
      state: 'active',
      wasDeferred: false,
      lock: undefined,
      ready: undefined,
      deadline: undefined,
    };
    return this.#adopt(stored);
  }

  #adopt(stored: StoredMessage): StoredMessage {
    this.#messages.add(stored);
    this.#tally[stored.state]++;
    return stored;
  }

  /** The service gives a scheduled message a new sequence number when its time has come. */
  #activateScheduled(stored: StoredMessage): void {
    this.#remove(stored);
    this.#makeActive(this.#store(stored.message, ++this.#lastSequenceNumber));
  }

  #makeActive(stored: StoredMessage): void {
    if (stored.expiresAt <= this.#now()) {
      this.#expire(stored);
      return;
    }
    this.#become(stored, 'active', stored.expiresAt);
    stored.ready = this.#ready.push(stored);
    this.#handOut();
  }

  /** In order of sequence numbers, to the consumers in turn. */
  #handOut(): void {
    for (;;) {
      const stored = this.#ready.top;
      const consumer = stored && this.#consumers.inTurn();
      if (stored === undefined || consumer === undefined) {
        return;
      }
      if (consumer.peekLock) {
        this.#lock(stored);
      } else {
        this.#remove(stored);
      }
      consumer.deliver(stored);
    }
  }

  /** Back from a lock. */
  #makeAvailable(stored: StoredMessage): void {
    if (stored.wasDeferred) {
      this.#become(stored, 'deferred', stored.expiresAt);
    } else {
      this.#makeActive(stored);
    }
  }

  #failDelivery(stored: StoredMessage): void {
    stored.deliveryCount++;
    const { maxDeliveryCount } = this.policy;
    if (stored.deliveryCount < maxDeliveryCount) {
      this.#makeAvailable(stored);
    } else {
      this.#deadLetter(stored, tooManyDeliveries(maxDeliveryCount));
    }
  }

  #expire(stored: StoredMessage): void {
    if (this.policy.deadLetteringOnMessageExpiration) {
      this.#deadLetter(stored, expired);
    } else {
      this.#remove(stored);
    }
  }

  #deadLetter(stored: StoredMessage, why: DeadLettering): void {
    if (this.deadLetters === undefined) {
      this.#makeAvailable(stored); // it is a dead letter already
      return;
    }
    this.#remove(stored);
    const changes = {
      ...why.properties,
      DeadLetterReason: why.reason,
      DeadLetterErrorDescription: why.description,
    };
    this.deadLetters.#addDead({ ...stored, message: withApplicationProperties(stored.message, changes) });
  }

  /** A dead letter keeps its sequence number, and never expires. */
  #addDead(dead: StoredMessage): void {
    const stored = { ...dead, expiresAt: Number.POSITIVE_INFINITY, wasDeferred: false };
    this.#makeActive(this.#adopt(stored));
  }

  #lock(stored: StoredMessage): void {
    const lock = { token: newLockToken(), until: this.#now() + this.policy.lockDurationInMs };
    this.#become(stored, 'locked', lock.until);
    stored.lock = lock;
    this.#locked.set(lock.token, stored);
  }

  #heldBy(token: string): StoredMessage {
    const stored = this.#locked.get(token);
    if (stored?.lock === undefined || stored.lock.until <= this.#now()) {
      throw lockLost();
    }
    return stored;
  }

  /** Leaves the present state and all that comes with it. */
  #leave(stored: StoredMessage): void {
    this.#tally[stored.state]--;
    if (stored.ready !== undefined) {
      this.#ready.remove(stored.ready);
    }
    if (stored.lock !== undefined) {
      this.#locked.delete(stored.lock.token);
    }
    stored.ready = undefined;
    stored.lock = undefined;
  }

  #become(stored: StoredMessage, state: State, deadline: number): void {
    this.#leave(stored);
    this.#tally[state]++;
    stored.state = state;
    this.#deadlines.set(stored, deadline);
  }

  #remove(stored: StoredMessage): void {
    this.#leave(stored);
    this.#deadlines.set(stored, Number.POSITIVE_INFINITY);
    this.#messages.delete(stored.sequenceNumber);
  }
}
