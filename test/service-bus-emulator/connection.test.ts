import { once } from 'node:events';
import { connect } from 'node:net';
import { ServiceBusClient } from '@azure/service-bus';
import { describe, expect, it } from 'vitest';
import { startServiceBusEmulator } from '../../src/local/servicebus/emulator.ts';
import { receiveOne, settings, takeAll, until, useBus } from './bus.ts';

const bus = useBus({
  queues: [
    { name: 'queue' },
    { name: 'dropped' },
    { name: 'after' },
    { name: 'rubbish' },
    { name: 'renewing', lockDurationInMs: 1200 },
  ],
});

describe('A client', () => {
  it('that names no entity there is, is told so', async () => {
    const notFound = { code: 'MessagingEntityNotFound' };
    const { client } = bus;
    await expect(client.createSender('none').sendMessages({ body: 1 })).rejects.toMatchObject(notFound);
    const receiver = client.createReceiver('none');
    await expect(receiver.receiveMessages(1, { maxWaitTimeInMs: 500 })).rejects.toMatchObject(notFound);
    await expect(client.createReceiver('none').peekMessages(1)).rejects.toMatchObject(notFound);
  });

  it('with the wrong key is not let in', async () => {
    const connectionString = bus.emulator.connectionString.replace('SAS_KEY_VALUE', 'WRONG');
    const client = new ServiceBusClient(connectionString, { retryOptions: { maxRetries: 0 } });
    await expect(client.createSender('queue').sendMessages({ body: 1 })).rejects.toMatchObject({
      code: 'UnauthorizedAccess',
    });
    await client.close();
  });

  it('that wants a session is told that there are none', async () => {
    await expect(bus.client.acceptSession('queue', 'a')).rejects.toThrow('Failed to create a receiver');
  });

  it('goes on after its connection was cut', async () => {
    const client = new ServiceBusClient(bus.emulator.connectionString, {
      retryOptions: { retryDelayInMs: 50, timeoutInMs: 1000, maxRetries: 20 },
    });
    const sender = client.createSender('dropped');
    const receiver = client.createReceiver('dropped');
    const bodies: unknown[] = [];
    const processMessage = async ({ body }: { body: unknown }) => void bodies.push(body);
    receiver.subscribe({ processMessage, processError: async () => {} });
    await sender.sendMessages({ body: 'before' });
    await until(() => bodies.length === 1);
    bus.emulator.dropConnections();
    await sender.sendMessages({ body: 'after' });
    await until(() => bodies.includes('after'));
    await client.close();
  });

  it('that takes its time has its locks renewed', async () => {
    await bus.client.createSender('renewing').sendMessages({ body: 1 });
    const receiver = bus.client.createReceiver('renewing');
    let calls = 0;
    const processMessage = async () => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    };
    receiver.subscribe({ processMessage, processError: async () => {} });
    await until(() => calls > 0);
    await until(() => {
      const { active, locked } = bus.emulator.counts('renewing');
      return active + locked === 0;
    });
    await receiver.close();
    expect(calls).toBe(1);
  });

  it('may settle through another link than the one it received on', async () => {
    await bus.client.createSender('after').sendMessages({ body: 1 });
    const receiver = bus.client.createReceiver('after');
    const message = await receiveOne(receiver);
    await receiver.close();
    await bus.client.createReceiver('after').completeMessage(message);
    expect(bus.emulator.counts('after')).toMatchObject({ active: 0, locked: 0 });
  });
});

describe('The emulator', () => {
  it('takes clients again on the same port after it was closed', async () => {
    const queues = [{ ...settings, name: 'queue' }];
    const first = await startServiceBusEmulator({ queues, topics: [] });
    const client = new ServiceBusClient(first.connectionString, {
      retryOptions: { retryDelayInMs: 50, timeoutInMs: 1000, maxRetries: 20 },
    });
    const sender = client.createSender('queue');
    await sender.sendMessages({ body: 'lost with the first' });
    await first.close();
    const second = await startServiceBusEmulator({ queues, topics: [], port: first.port });
    await sender.sendMessages({ body: 'kept by the second' });
    expect(await takeAll(client.createReceiver('queue'), 1)).toEqual(['kept by the second']);
    await client.close();
    await second.close();
  });

  it('goes on whatever a stranger sends', async () => {
    const greeting = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0]);
    const rubbish = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([greeting, Buffer.alloc(200, 0xff)]),
      Buffer.concat([greeting, Buffer.from([0, 0, 0, 9, 2, 0, 0, 7, 0x53])]),
      Buffer.concat([greeting, Buffer.from([0, 0, 0, 3, 2, 0, 0, 0])]),
    ];
    for (const bytes of rubbish) {
      const socket = connect(bus.emulator.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    await bus.client.createSender('rubbish').sendMessages({ body: 'fine' });
    expect(await takeAll(bus.client.createReceiver('rubbish'), 1)).toEqual(['fine']);
  });

  it('rejects when its port is taken', async () => {
    const second = startServiceBusEmulator({ queues: [], topics: [], port: bus.emulator.port });
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('The merge of outcomes in the client', () => {
  // Not ours to mend; but if this ever fails, the Functions host need not keep outcomes apart any longer.
  it('loses a dead letter beside a completion in one tick', async () => {
    await bus.client.createSender('queue').sendMessages([{ body: 'a' }, { body: 'b' }]);
    const receiver = bus.client.createReceiver('queue');
    const [a, b] = [await receiveOne(receiver), await receiveOne(receiver)];
    await Promise.all([receiver.completeMessage(a), receiver.deadLetterMessage(b)]);
    expect(bus.emulator.counts('queue')).toMatchObject({ active: 0, locked: 0, deadLetter: 0 });
  });
});
