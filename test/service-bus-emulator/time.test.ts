import { describe, expect, it } from 'vitest';
import { receiveOne, settings, takeAll, useBus } from './bus.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const bus = useBus({
  queues: [
    { name: 'locks' },
    { name: 'renewed' },
    { name: 'by-itself', lockDurationInMs: 100 },
    { name: 'scheduled' },
    { name: 'many-scheduled' },
    { name: 'cancelled' },
    { name: 'duplicates', duplicateDetectionWindowInMs: 10 * minute },
    { name: 'expiring' },
    {
      name: 'expiring-to-dead-letters',
      deadLetteringOnMessageExpiration: true,
      defaultTimeToLiveInMs: 14 * day,
    },
    { name: 'held-past-expiry', deadLetteringOnMessageExpiration: true },
  ],
  topics: [
    {
      name: 'outcomes',
      duplicateDetectionWindowInMs: 10 * minute,
      defaultTimeToLiveInMs: day,
      subscriptions: [
        { ...settings, name: 'all' },
        { ...settings, name: 'others', deadLetteringOnMessageExpiration: true },
      ],
    },
  ],
});

const ends = (queue: string) => ({
  sender: bus.client.createSender(queue),
  receiver: bus.client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 }),
});

describe('A lock', () => {
  it('that ran out lets the message be delivered again, and the late settlement fail', async () => {
    const { sender, receiver } = ends('locks');
    await sender.sendMessages({ body: 1 });
    const late = await receiveOne(receiver);
    bus.advance(minute);
    const again = await receiveOne(receiver);
    expect(again).toMatchObject({ body: 1, deliveryCount: 1 });
    expect(again.lockToken).not.toBe(late.lockToken);
    await expect(receiver.completeMessage(late)).rejects.toMatchObject({ code: 'MessageLockLost' });
    await expect(receiver.renewMessageLock(late)).rejects.toMatchObject({ code: 'MessageLockLost' });
    await receiver.completeMessage(again);
  });

  it('runs out by itself', async () => {
    const { sender, receiver } = ends('by-itself');
    await sender.sendMessages({ body: 1 });
    await receiveOne(receiver);
    expect(await receiveOne(receiver)).toMatchObject({ deliveryCount: 1 });
  });

  it('holds on when it is renewed', async () => {
    const { sender, receiver } = ends('renewed');
    await sender.sendMessages({ body: 1 });
    const message = await receiveOne(receiver);
    const before = Number(message.lockedUntilUtc);
    bus.advance(minute - 5000);
    const until = await receiver.renewMessageLock(message);
    expect(Number(until)).toBeGreaterThanOrEqual(before + minute - 5000);
    bus.advance(minute - 5000);
    await receiver.completeMessage(message);
  });

  it('outlives the client that held it, and then runs out', async () => {
    const { sender, receiver } = ends('locks');
    await sender.sendMessages([{ body: 1 }, { body: 2 }]);
    const { ServiceBusClient } = await import('@azure/service-bus');
    const other = new ServiceBusClient(bus.emulator.connectionString);
    const held = other.createReceiver('locks');
    await receiveOne(held);
    await receiveOne(held);
    await other.close();
    expect(bus.emulator.counts('locks')).toMatchObject({ active: 0, locked: 2 });
    bus.advance(minute);
    expect(await takeAll(receiver, 2)).toEqual([1, 2]);
  });
});

describe('A scheduled message', () => {
  it('is delivered when its time has come, under a new sequence number', async () => {
    const { sender, receiver } = ends('scheduled');
    const at = new Date(bus.now() + 10 * minute);
    const [number] = await sender.scheduleMessages({ body: 'scheduled' }, at);
    await sender.sendMessages({ body: 'sent', scheduledEnqueueTimeUtc: at });
    expect(await receiver.peekMessages(2)).toMatchObject([{ state: 'scheduled' }, { state: 'scheduled' }]);
    expect(bus.emulator.counts('scheduled')).toMatchObject({ active: 0, scheduled: 2 });
    bus.advance(10 * minute);
    const first = await receiveOne(receiver);
    expect(first.body).toBe('scheduled');
    expect(first.sequenceNumber?.gt(number!)).toBe(true);
    await receiver.completeMessage(first);
    expect(await takeAll(receiver, 1)).toEqual(['sent']);
  });

  it('is one of many that become active at once', async () => {
    const { sender } = ends('many-scheduled');
    const at = new Date(bus.now() + minute);
    for (let i = 0; i < 5; i++) {
      const messages = Array.from({ length: 1000 }, () => ({ body: 'x', scheduledEnqueueTimeUtc: at }));
      await sender.sendMessages(messages);
    }
    bus.advance(minute);
    expect(bus.emulator.counts('many-scheduled')).toMatchObject({ active: 5000, scheduled: 0 });
  });

  it('can be cancelled', async () => {
    const { sender } = ends('cancelled');
    const at = new Date(bus.now() + minute);
    const [number] = await sender.scheduleMessages([{ body: 'never' }], at);
    await sender.cancelScheduledMessages(number!);
    await expect(sender.cancelScheduledMessages(number!)).rejects.toMatchObject({ code: 'MessageNotFound' });
    bus.advance(2 * minute);
    expect(bus.emulator.counts('cancelled')).toMatchObject({ active: 0, scheduled: 0 });
  });
});

describe('Duplicate detection', () => {
  it('drops a message whose id the window has seen, even after it is gone', async () => {
    const { sender, receiver } = ends('duplicates');
    await sender.sendMessages({ body: 1, messageId: 'a' });
    await sender.sendMessages([
      { body: 2, messageId: 'a' },
      { body: 3, messageId: 'b' },
    ]);
    expect(await takeAll(receiver, 2)).toEqual([1, 3]);
    await sender.sendMessages({ body: 4, messageId: 'a' });
    expect(bus.emulator.counts('duplicates').active).toBe(0);
    bus.advance(10 * minute);
    await sender.sendMessages({ body: 5, messageId: 'a' });
    expect(await takeAll(receiver, 1)).toEqual([5]);
  });
});

describe('Time to live', () => {
  it('ends a message, which is dropped', async () => {
    const { sender } = ends('expiring');
    await sender.sendMessages({ body: 1, timeToLive: minute });
    bus.advance(minute);
    expect(bus.emulator.counts('expiring')).toMatchObject({ active: 0, deadLetter: 0 });
  });

  it('ends a message, which becomes a dead letter where the queue says so', async () => {
    const { sender } = ends('expiring-to-dead-letters');
    await sender.sendMessages({ body: 1 });
    bus.advance(14 * day);
    expect(bus.emulator.counts('expiring-to-dead-letters')).toMatchObject({ active: 0, deadLetter: 1 });
    const deadLetters = bus.client.createReceiver('expiring-to-dead-letters', { subQueueType: 'deadLetter' });
    expect(await receiveOne(deadLetters)).toMatchObject({ deadLetterReason: 'TTLExpiredException' });
  });

  it('does not take a message away from who holds it', async () => {
    const { sender, receiver } = ends('held-past-expiry');
    await sender.sendMessages([
      { body: 1, timeToLive: 1000 },
      { body: 2, timeToLive: 1000 },
    ]);
    const [completed, abandoned] = [await receiveOne(receiver), await receiveOne(receiver)];
    bus.advance(2000);
    await receiver.completeMessage(completed);
    await receiver.abandonMessage(abandoned);
    expect(bus.emulator.counts('held-past-expiry')).toMatchObject({ active: 0, locked: 0, deadLetter: 1 });
  });
});

describe('A topic', () => {
  const subscriber = (name: string) => bus.client.createReceiver('outcomes', name);

  it('gives each subscription a copy, settled on its own', async () => {
    const sender = bus.client.createSender('outcomes');
    await sender.sendMessages([{ body: 1 }, { body: 2 }]);
    expect(await takeAll(subscriber('all'), 2)).toEqual([1, 2]);
    const other = subscriber('others');
    await other.deadLetterMessage(await receiveOne(other), {
      deadLetterReason: 'mine alone',
      deadLetterErrorDescription: 'd',
    });
    expect(bus.emulator.counts('outcomes/Subscriptions/others')).toMatchObject({ active: 1, deadLetter: 1 });
    expect(bus.emulator.counts('outcomes/Subscriptions/all')).toMatchObject({ active: 0, deadLetter: 0 });
    await takeAll(other, 1);
    const deadLetters = bus.client.createReceiver('outcomes', 'others', { subQueueType: 'deadLetter' });
    expect(await receiveOne(deadLetters)).toMatchObject({ body: 1, deadLetterReason: 'mine alone' });
  });

  it('drops duplicates, and keeps scheduled messages to itself until their time has come', async () => {
    const sender = bus.client.createSender('outcomes');
    await sender.sendMessages({ body: 'once', messageId: 'same' });
    await sender.sendMessages({ body: 'twice', messageId: 'same' });
    const at = new Date(bus.now() + minute);
    const [number] = await sender.scheduleMessages([{ body: 'cancelled' }], at);
    await sender.scheduleMessages({ body: 'later' }, at);
    expect(bus.emulator.counts('outcomes').scheduled).toBe(2);
    await sender.cancelScheduledMessages(number!);
    expect(await takeAll(subscriber('all'), 1)).toEqual(['once']);
    bus.advance(minute);
    expect(await takeAll(subscriber('all'), 1)).toEqual(['later']);
  });

  it('limits the life of its messages', async () => {
    await bus.client.createSender('outcomes').sendMessages({ body: 1 });
    bus.advance(day);
    expect(bus.emulator.counts('outcomes/Subscriptions/all').active).toBe(0);
    expect(bus.emulator.counts('outcomes/Subscriptions/others').deadLetter).toBeGreaterThan(0);
  });

  it('is not to be received from', async () => {
    const receiver = bus.client.createReceiver('outcomes');
    await expect(receiver.receiveMessages(1, { maxWaitTimeInMs: 500 })).rejects.toThrow(
      'receive from a subscription',
    );
  });
});
