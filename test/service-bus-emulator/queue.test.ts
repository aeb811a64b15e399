import { describe, expect, it } from 'vitest';
import { receiveOne, takeAll, until, useBus } from './bus.ts';

const bus = useBus({
  queues: [
    { name: 'bodies' },
    { name: 'properties' },
    { name: 'batches' },
    { name: 'sizes' },
    { name: 'subscribed' },
    { name: 'concurrency' },
    { name: 'abandoned' },
    { name: 'poison', maxDeliveryCount: 3 },
    { name: 'dead' },
    { name: 'deferred' },
    { name: 'peeked' },
    { name: 'deleting' },
    { name: 'shared' },
    { name: 'drained' },
    { name: 'many' },
    { name: 'mixed' },
  ],
});

const ends = (queue: string) => ({
  sender: bus.client.createSender(queue),
  receiver: bus.client.createReceiver(queue),
});

describe('A queue', () => {
  it('hands a message over as it was sent', async () => {
    const { sender, receiver } = ends('properties');
    await sender.sendMessages({
      body: { a: [1, 'é', null] },
      messageId: 'id-1',
      correlationId: 'correlation',
      subject: 'subject',
      contentType: 'application/json',
      to: 'to',
      replyTo: 'reply-to',
      timeToLive: 60_000,
      partitionKey: 'partition',
      applicationProperties: { whole: 5, negative: -7, fraction: 1.5, text: 'x', flag: true, nothing: null },
    });
    const message = await receiveOne(receiver);
    expect(message).toMatchObject({
      body: { a: [1, 'é', null] },
      messageId: 'id-1',
      correlationId: 'correlation',
      subject: 'subject',
      contentType: 'application/json',
      to: 'to',
      replyTo: 'reply-to',
      timeToLive: 60_000,
      partitionKey: 'partition',
      applicationProperties: { whole: 5, negative: -7, fraction: 1.5, text: 'x', flag: true, nothing: null },
      deliveryCount: 0,
      state: 'active',
    });
    expect(message.sequenceNumber?.toNumber()).toBe(1);
    expect(message.lockToken).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/);
    const lockedFor = Number(message.lockedUntilUtc) - Number(message.enqueuedTimeUtc);
    expect(lockedFor).toBeGreaterThanOrEqual(60_000);
    await receiver.completeMessage(message);
    expect(bus.emulator.counts('properties').locked).toBe(0);
  });

  it('carries every kind of body', async () => {
    const { sender, receiver } = ends('bodies');
    await sender.sendMessages([
      { body: 'text' },
      { body: Buffer.from([0, 255, 1]) },
      { body: 42 },
      { body: null },
    ]);
    await sender.sendMessages({ body: Buffer.alloc(200_000, 'xyz') }); // several frames
    const bodies = await takeAll(receiver, 5);
    expect(bodies.slice(0, 4)).toEqual(['text', Buffer.from([0, 255, 1]), 42, null]);
    expect(Buffer.alloc(200_000, 'xyz').equals(bodies[4] as Buffer)).toBe(true);
  });

  it('gives an id to a message without one', async () => {
    const { sender, receiver } = ends('bodies');
    await sender.sendMessages({ body: 'no id' });
    const message = await receiveOne(receiver);
    expect(message.messageId).toMatch(/^[0-9a-f]{32}$/);
    await receiver.completeMessage(message);
  });

  it('keeps the order and the properties of a batch', async () => {
    const { sender, receiver } = ends('batches');
    const batch = await sender.createMessageBatch();
    expect(batch.maxSizeInBytes).toBe(262_144);
    for (let i = 0; i < 50; i++) {
      expect(batch.tryAddMessage({ body: i, messageId: `m${i}`, applicationProperties: { i } })).toBe(true);
    }
    await sender.sendMessages(batch);
    expect(await takeAll(receiver, 50)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('refuses a message beyond 256 KB, and it alone', async () => {
    const { sender, receiver } = ends('sizes');
    const sizes = [10, 300_000, 10];
    const sent = await Promise.allSettled(
      sizes.map((size) => sender.sendMessages({ body: Buffer.alloc(size) })),
    );
    expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(sent[1]).toMatchObject({ reason: { code: 'MessageSizeExceeded' } });
    await takeAll(receiver, 2);
  });

  it('delivers again what a subscriber fails', async () => {
    const { sender, receiver } = ends('subscribed');
    await sender.sendMessages([{ body: 'good' }, { body: 'bad' }]);
    const seen: string[] = [];
    const subscription = receiver.subscribe({
      processMessage: async (message) => {
        seen.push(`${message.body} ${message.deliveryCount}`);
        if (message.body === 'bad' && message.deliveryCount !== 2) {
          throw new Error('not yet');
        }
      },
      processError: async () => {},
    });
    await until(() => seen.length === 4 && bus.emulator.counts('subscribed').locked === 0);
    await subscription.close();
    expect(seen.sort()).toEqual(['bad 0', 'bad 1', 'bad 2', 'good 0']);
  });

  it('sends a subscriber no more than it has room for', async () => {
    const { sender, receiver } = ends('concurrency');
    await sender.sendMessages(Array.from({ length: 30 }, (_, i) => ({ body: i })));
    let running = 0;
    let most = 0;
    let done = 0;
    const subscription = receiver.subscribe(
      {
        processMessage: async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 5));
          running--;
          done++;
        },
        processError: async () => {},
      },
      { maxConcurrentCalls: 5 },
    );
    await until(() => done === 30);
    await subscription.close();
    expect(most).toBe(5);
  });

  it('delivers an abandoned message first, with its count and its changed properties', async () => {
    const { sender, receiver } = ends('abandoned');
    await sender.sendMessages([{ body: 1, applicationProperties: { kept: 1 } }, { body: 2 }]);
    await receiver.abandonMessage(await receiveOne(receiver), { tries: 1 });
    const again = await receiveOne(receiver);
    expect(again).toMatchObject({ body: 1, deliveryCount: 1, applicationProperties: { kept: 1, tries: 1 } });
    await receiver.completeMessage(again);
    await takeAll(receiver, 1);
  });

  it('dead-letters a message after its last delivery', async () => {
    const { sender, receiver } = ends('poison');
    await sender.sendMessages({ body: 'poison', messageId: 'p' });
    for (let i = 0; i < 3; i++) {
      await receiver.abandonMessage(await receiveOne(receiver));
    }
    expect(bus.emulator.counts('poison')).toMatchObject({ active: 0, deadLetter: 1 });
    const deadLetters = bus.client.createReceiver('poison', { subQueueType: 'deadLetter' });
    const dead = await receiveOne(deadLetters);
    expect(dead).toMatchObject({ messageId: 'p', deadLetterReason: 'MaxDeliveryCountExceeded' });
    await deadLetters.completeMessage(dead);
    expect(bus.emulator.counts('poison').deadLetter).toBe(0);
  });

  it('dead-letters a message with reason, description and properties', async () => {
    const { sender, receiver } = ends('dead');
    await sender.sendMessages({ body: { k: 1 }, applicationProperties: { original: 'o' } });
    const options = { deadLetterReason: 'Bad', deadLetterErrorDescription: 'schema', extra: 9 };
    await receiver.deadLetterMessage(await receiveOne(receiver), options);
    const deadLetters = bus.client.createReceiver('dead', { subQueueType: 'deadLetter' });
    const [peeked] = await deadLetters.peekMessages(5);
    expect(peeked?.deadLetterReason).toBe('Bad');
    const dead = await receiveOne(deadLetters);
    expect(dead).toMatchObject({
      body: { k: 1 },
      deadLetterReason: 'Bad',
      deadLetterErrorDescription: 'schema',
      applicationProperties: { original: 'o', extra: 9, DeadLetterReason: 'Bad' },
    });
    await deadLetters.renewMessageLock(dead);
    await deadLetters.completeMessage(dead);
  });

  it('keeps a deferred message until it is asked for by number', async () => {
    const { sender, receiver } = ends('deferred');
    await sender.sendMessages([{ body: 'first' }, { body: 'second' }]);
    const first = await receiveOne(receiver);
    await receiver.deferMessage(first, { why: 'later' });
    expect(await takeAll(receiver, 1)).toEqual(['second']);
    expect(await receiver.peekMessages(1)).toMatchObject([{ state: 'deferred' }]);
    const number = first.sequenceNumber!;
    const [deferred] = await receiver.receiveDeferredMessages(number);
    expect(deferred).toMatchObject({ body: 'first', applicationProperties: { why: 'later' } });
    await receiver.renewMessageLock(deferred!);
    await receiver.abandonMessage(deferred!);
    const [again] = await receiver.receiveDeferredMessages([number]);
    expect(again?.deliveryCount).toBe(1);
    await receiver.deadLetterMessage(again!, { deadLetterReason: 'over', deadLetterErrorDescription: 'd' });
    expect(bus.emulator.counts('deferred')).toMatchObject({ deferred: 0, deadLetter: 1 });
  });

  it('lets itself be peeked at, from any number, without locking', async () => {
    const { sender, receiver } = ends('peeked');
    expect(await receiver.peekMessages(3)).toEqual([]);
    await sender.sendMessages(Array.from({ length: 7 }, (_, i) => ({ body: i })));
    const bodies = async (...how: Parameters<typeof receiver.peekMessages>) =>
      (await receiver.peekMessages(...how)).map(({ body }) => body);
    expect(await bodies(3)).toEqual([0, 1, 2]);
    expect(await bodies(3)).toEqual([3, 4, 5]);
    const [first] = await receiver.peekMessages(1, {
      fromSequenceNumber: (await receiveOne(receiver)).sequenceNumber!,
    });
    expect(first).toMatchObject({ body: 0 });
    expect(first?.lockToken).toBeUndefined();
  });

  it('forgets what was received to be deleted', async () => {
    const { sender } = ends('deleting');
    await sender.sendMessages(Array.from({ length: 5 }, (_, i) => ({ body: i })));
    const receiver = bus.client.createReceiver('deleting', { receiveMode: 'receiveAndDelete' });
    const received = await receiver.receiveMessages(5, { maxWaitTimeInMs: 5000 });
    expect(received.map(({ body }) => body)).toEqual([0, 1, 2, 3, 4]);
    expect(bus.emulator.counts('deleting')).toMatchObject({ active: 0, locked: 0 });
  });

  it('shares its messages out among its receivers', async () => {
    const { sender } = ends('shared');
    const got: number[][] = [[], []];
    const receivers = got.map((bodies) => {
      const receiver = bus.client.createReceiver('shared');
      const processMessage = async ({ body }: { body: unknown }) => void bodies.push(Number(body));
      receiver.subscribe({ processMessage, processError: async () => {} }, { maxConcurrentCalls: 2 });
      return receiver;
    });
    await sender.sendMessages(Array.from({ length: 100 }, (_, i) => ({ body: i })));
    await until(() => got.flat().length >= 100);
    await Promise.all(receivers.map((receiver) => receiver.close()));
    expect(new Set(got.flat()).size).toBe(100);
    expect(Math.min(...got.map((bodies) => bodies.length))).toBeGreaterThan(20);
  });

  it('answers a receiver that asks for more than there is', async () => {
    const { sender, receiver } = ends('drained');
    for (let round = 0; round < 2; round++) {
      await sender.sendMessages([{ body: 1 }, { body: 2 }]);
      const received = await receiver.receiveMessages(10, { maxWaitTimeInMs: 200 });
      expect(received).toHaveLength(2);
      for (const message of received) {
        await receiver.completeMessage(message);
      }
    }
    expect(await receiver.receiveMessages(1, { maxWaitTimeInMs: 50 })).toEqual([]);
    await sender.sendMessages({ body: 'after' });
    expect(await takeAll(receiver, 1)).toEqual(['after']);
  });

  it('keeps one link going for more messages than a session has room for', async () => {
    const { sender, receiver } = ends('many');
    for (let i = 0; i < 5; i++) {
      await sender.sendMessages(Array.from({ length: 1000 }, (_, n) => ({ body: n })));
    }
    let got = 0;
    const processMessage = async () => void got++;
    const processError = async () => {};
    receiver.subscribe({ processMessage, processError }, { maxConcurrentCalls: 100 });
    await until(() => got === 5000 && bus.emulator.counts('many').locked === 0);
    await receiver.close();
    expect(bus.emulator.counts('many').active).toBe(0);
  });

  it('gives each of several settlements in one tick its own answer', async () => {
    const { sender, receiver } = ends('mixed');
    await sender.sendMessages([{ body: 1 }, { body: 2 }, { body: 3 }]);
    const messages = [await receiveOne(receiver), await receiveOne(receiver), await receiveOne(receiver)];
    const [first, second, third] = messages as [
      (typeof messages)[0],
      (typeof messages)[0],
      (typeof messages)[0],
    ];
    bus.advance(40_000);
    await receiver.renewMessageLock(first);
    await receiver.renewMessageLock(third);
    bus.advance(40_000); // the second one's lock is over now
    const settled = await Promise.allSettled([first, second, third].map((m) => receiver.completeMessage(m)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled[1]).toMatchObject({ reason: { code: 'MessageLockLost' } });
    expect(bus.emulator.counts('mixed').active + bus.emulator.counts('mixed').locked).toBe(1);
  });
});
