import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap, type HeapEntry } from '../../src/local/servicebus/heap.ts';
import type { Message } from '../../src/local/servicebus/message.ts';
import { Queue } from '../../src/local/servicebus/queue.ts';
import type { StoredMessage } from '../../src/local/servicebus/queue-types.ts';
import { receiveOne, settings, useBus } from './bus.ts';

const message = (id: string): Message => ({
  durable: false,
  priority: 4,
  timeToLiveInMs: Number.POSITIVE_INFINITY,
  annotations: new Map(),
  id,
  scheduledFor: 0,
  properties: Buffer.alloc(0),
  applicationProperties: Buffer.alloc(0),
  body: Buffer.from([0, 0x53, 0x77, 0x40]),
});

describe('A queue of 200,000 messages', () => {
  it('is filled, peeked at and emptied', () => {
    let now = 0;
    const queue = new Queue({ ...settings, name: 'q', duplicateDetectionWindowInMs: 1000 }, () => now);
    for (let i = 0; i < 200_000; i++) {
      now += 1; // the window moves on at every message
      queue.enqueue(message(`m${i}`));
    }
    let peeked = 0;
    for (let i = 0; i < 1000; i++) {
      peeked += queue.peek(i * 200, 10).length;
    }
    expect(peeked).toBe(10_000);
    let last = 0;
    let taken = 0;
    let inOrder = true;
    queue.attach({
      peekLock: false,
      capacity: () => 1,
      deliver: ({ sequenceNumber }) => {
        inOrder &&= sequenceNumber > last;
        last = sequenceNumber;
        taken++;
      },
    });
    expect({ taken, inOrder }).toEqual({ taken: 200_000, inOrder: true });
    queue.stop();
  });

  it('whose locks all run out at once', () => {
    let now = 0;
    const queue = new Queue({ ...settings, name: 'q' }, () => now);
    for (let i = 0; i < 200_000; i++) {
      queue.enqueue(message(`m${i}`));
    }
    const consumer = { peekLock: true, capacity: () => 1, deliver: () => {} };
    queue.attach(consumer);
    expect(queue.counts).toMatchObject({ active: 0, locked: 200_000 });
    queue.detach(consumer);
    now = settings.lockDurationInMs;
    queue.runDeadlines();
    expect(queue.counts).toMatchObject({ active: 200_000, locked: 0 });
    queue.stop();
  });
});

describe('Whatever a client does with its messages', () => {
  it('none is lost and none is there twice', () => {
    const step = fc.oneof(
      ...(['send', 'complete', 'abandon', 'defer', 'deadLetter', 'release', 'receiveDeferred'] as const).map(
        (name) => fc.record({ name: fc.constant(name), which: fc.nat() }),
      ),
      fc.record({ name: fc.constant('wait' as const), which: fc.nat(90_000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 0, max: 5 }), (steps, room) => {
        let now = 0;
        const queue = new Queue({ ...settings, name: 'q', maxDeliveryCount: 3 }, () => now);
        const held = new Map<string, StoredMessage>();
        const capacity = () => room - held.size;
        const deliver = (stored: StoredMessage) => held.set(stored.lock?.token ?? '', stored);
        queue.attach({ peekLock: true, capacity, deliver });
        let sent = 0;
        let completed = 0;
        const deferred: number[] = [];
        for (const { name, which } of steps) {
          const [token, stored] = [...held][which % Math.max(held.size, 1)] ?? [];
          if (name === 'send') {
            queue.enqueue(message(`m${sent++}`));
          } else if (name === 'wait') {
            now += which;
          } else if (name === 'receiveDeferred') {
            const number = deferred[which % Math.max(deferred.length, 1)];
            try {
              if (number !== undefined) {
                for (const found of queue.receiveDeferred([number], true)) {
                  deliver(found);
                }
              }
            } catch {
              // somebody has it, or it is gone
            }
          } else if (token !== undefined && stored !== undefined) {
            held.delete(token);
            try {
              if (name === 'complete') {
                queue.settle(token, { as: name });
              } else if (name === 'deadLetter') {
                queue.settle(token, { as: name, reason: 'r', description: 'd' });
              } else if (name === 'release') {
                queue.settle(token, { as: name });
              } else {
                queue.settle(token, { as: name, properties: {} });
              }
              if (name === 'complete') {
                completed++;
              }
              if (name === 'defer') {
                deferred.push(stored.sequenceNumber);
              }
            } catch {
              // its lock had run out: the message is elsewhere
            }
          }
          queue.offer();
        }
        const { active, locked, deferred: put, scheduled, deadLetter } = queue.counts;
        expect(active + locked + put + scheduled + deadLetter + completed).toBe(sent);
        queue.stop();
      }),
    );
  });
});

describe('A heap', () => {
  it('gives its values in order, whatever was taken out of its middle', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), fc.boolean())), (values) => {
        const heap = new Heap<number>((a, b) => a < b);
        const entries = values.map(([value, stays]) => [heap.push(value), stays] as const);
        for (const [entry, stays] of entries) {
          if (!stays) {
            heap.remove(entry);
            heap.remove(entry);
          }
        }
        expect(heap.size).toBe(entries.filter(([, stays]) => stays).length);
        const expected = values.filter(([, stays]) => stays).map(([value]) => value);
        const found: number[] = [];
        const byValue = new Map<number, HeapEntry<number>[]>();
        for (const [entry, stays] of entries) {
          if (stays) {
            byValue.set(entry.value, [...(byValue.get(entry.value) ?? []), entry]);
          }
        }
        while (heap.top !== undefined) {
          found.push(heap.top);
          const top = byValue.get(heap.top)?.find(({ position }) => position === 0);
          expect(top).toBeDefined();
          heap.remove(top!);
        }
        expect(found).toEqual(expected.sort((a, b) => a - b));
      }),
    );
  });
});

describe('Several receivers and random settlements, through the real client', () => {
  const bus = useBus({ queues: [{ name: 'busy', maxDeliveryCount: 50 }] });

  it('lose nothing and double nothing', async () => {
    const sender = bus.client.createSender('busy');
    const total = 600;
    await sender.sendMessages(Array.from({ length: total }, (_, i) => ({ body: i })));
    let seed = 7;
    const random = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed / 0x7fffffff;
    };
    const ended: number[] = [];
    let dead = 0;
    const work = async () => {
      const receiver = bus.client.createReceiver('busy');
      while (ended.length + dead < total) {
        const received = await receiver.receiveMessages(1 + Math.floor(random() * 20), {
          maxWaitTimeInMs: 20,
        });
        for (const message of received) {
          const dice = random();
          if (dice < 0.2) {
            await receiver.abandonMessage(message);
          } else if (dice < 0.3) {
            await receiver.deadLetterMessage(message);
            dead++;
          } else {
            await receiver.completeMessage(message);
            ended.push(Number(message.body));
          }
        }
      }
      await receiver.close();
    };
    await Promise.all([work(), work(), work()]);
    expect(new Set(ended).size).toBe(ended.length);
    expect(bus.emulator.counts('busy')).toMatchObject({ active: 0, locked: 0, deadLetter: dead });
    const deadLetters = bus.client.createReceiver('busy', { subQueueType: 'deadLetter' });
    for (let i = 0; i < dead; i++) {
      ended.push(Number((await receiveOne(deadLetters)).body));
    }
    expect(new Set(ended).size).toBe(total);
  });
});
