import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import rhea, { type Connection } from 'rhea';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueServerCertificate, openAuthority } from '../../src/local/dps/certificate-authority.ts';
import { type ServiceBusEmulator, startServiceBusEmulator } from '../../src/local/servicebus/emulator.ts';
import { buildDotnet, describeWith, findPython, type Step, stepsOf } from '../support/other-clients.ts';
import { settings } from './bus.ts';

const here = import.meta.dirname;
const folder = mkdtempSync(path.join(tmpdir(), 'other-clients-'));
const [dotnetClient, pythonWithAzure, pythonWithProton] = await Promise.all([
  buildDotnet(path.join(here, 'dotnet')),
  findPython('azure.servicebus'),
  findPython('proton'),
]);

let bus: ServiceBusEmulator;
let authorityFile: string;
beforeAll(async () => {
  const authority = await openAuthority(folder, 'authority', 'CN=Test authority');
  authorityFile = authority.certificatePath;
  bus = await startServiceBusEmulator({
    queues: [
      { ...settings, name: 'first' },
      { ...settings, name: 'second' },
    ],
    topics: [
      {
        name: 'topic',
        duplicateDetectionWindowInMs: 0,
        defaultTimeToLiveInMs: 3_600_000,
        subscriptions: [{ ...settings, name: 'all' }],
      },
    ],
    certificate: () => issueServerCertificate(authority, ['localhost', '127.0.0.1']),
  });
});
afterAll(async () => {
  await bus.close();
  rmSync(folder, { recursive: true });
});

const nothingIsLeft = () => {
  for (const entity of ['first', 'second', 'topic/Subscriptions/all']) {
    expect(bus.counts(entity)).toEqual({ active: 0, locked: 0, deferred: 0, scheduled: 0, deadLetter: 0 });
  }
};

describeWith(
  dotnetClient,
  'The .NET SDK, with NuGet in reach, was not found: install dotnet-sdk.',
  'The client for .NET',
  (client) => {
    let steps: Record<string, Step>;
    beforeAll(async () => {
      steps = await stepsOf('dotnet', [client, bus.connectionString]);
    }, 180_000);
    const resultOf = (name: string) => steps[name]?.result ?? steps[name];
    const refusalOf = (name: string) => steps[name]?.message ?? steps[name];

    it('sends to and receives from several entities on one connection', () => {
      expect(resultOf('two entities on one connection')).toEqual(['one', 'two']);
      expect(resultOf('the same again on another connection, while messages wait')).toBe('waits');
      expect(resultOf('a batch')).toEqual(['0', '1', '2']);
      expect(resultOf('topic, subscription, processor')).toBe('published');
    });

    it('finds each application property again in the type in which it went', () => {
      expect(resultOf('types of application properties')).toBe(true);
    });

    it('schedules, peeks, cancels, abandons, defers, renews and dead-letters', () => {
      expect(resultOf('scheduled, peeked, cancelled')).toEqual(['later', 'Scheduled']);
      expect(resultOf('abandoned, deferred, renewed')).toEqual([2, true, 'again']);
      expect(resultOf('dead letters')).toEqual(['reason', 'description']);
    });

    it('is told what is not there, in words, and goes on', () => {
      expect(refusalOf('an entity that is not there')).toContain('could not be found');
      for (const name of ['the next session', 'one session']) {
        expect(refusalOf(name)).toContain('This emulator does not implement sessions.');
      }
      expect(refusalOf('a transaction')).toContain('This emulator does not implement transactions.');
      expect(refusalOf('rules of a subscription')).toContain('does not implement the operation');
      expect(refusalOf('the administration client')).toContain(
        'This emulator does not implement the administration API',
      );
      expect(resultOf('after all that, a message')).toBe('still');
      nothingIsLeft();
    });
  },
);

describeWith(
  pythonWithAzure,
  'Python with azure-servicebus was not found: apt-get install python3-azure.',
  'The client for Python, within TLS',
  (python) => {
    let steps: Record<string, Step>;
    beforeAll(async () => {
      const connectionString = bus.connectionString
        .replace(/127\.0\.0\.1:\d+/, 'localhost')
        .replace('UseDevelopmentEmulator=true;', '');
      const script = path.join(here, 'python/servicebus_steps.py');
      steps = await stepsOf(python, [script, connectionString, String(bus.port), authorityFile]);
    }, 180_000);
    const resultOf = (name: string) => steps[name]?.result ?? steps[name];

    it('does what it does with Azure', () => {
      expect(resultOf('two entities')).toEqual(['one', 'two', 'three']);
      expect(resultOf('scheduled, peeked, cancelled')).toBe('later');
      expect(resultOf('dead letters')).toEqual(['reason', 1]);
      expect(resultOf('deferred')).toBe('deferred');
      expect(resultOf('topic, subscription')).toBe('published');
    });

    it('is told what is not there', () => {
      expect(steps['an entity that is not there']?.message).toContain('could not be found');
      expect(steps['a session']?.message).toContain('This emulator does not implement sessions.');
      nothingIsLeft();
    });
  },
);

describeWith(
  pythonWithProton,
  'Python with Qpid Proton was not found: apt-get install python3-qpid-proton.',
  'Qpid Proton',
  (python) => {
    it('sends, and receives what waits already when it opens its link', async () => {
      const steps = await stepsOf(python, [path.join(here, 'python/proton_steps.py'), String(bus.port)]);
      expect(steps['sent and received']?.result).toEqual(['one', 'two', 'three']);
      nothingIsLeft();
    });
  },
);

describe('A client of AMQP, and of nothing else,', () => {
  const connect = async (): Promise<Connection> => {
    const connection = rhea.connect({ host: '127.0.0.1', port: bus.port, username: 'a', reconnect: false });
    await once(connection, 'connection_open');
    return connection;
  };

  it('that opens a session of an entity is refused, and its other links go on', async () => {
    const connection = await connect();
    const receiver = connection.open_receiver({
      source: { address: 'first', filter: { 'com.microsoft:session-filter': null as never } },
    });
    await once(receiver, 'receiver_error');
    expect(receiver.error).toMatchObject({ condition: 'amqp:not-implemented' });
    const sender = connection.open_sender('second');
    await once(sender, 'sendable');
    connection.close();
  });
});

it('Who speaks HTTP is told that this port does not', async () => {
  const response = await fetch(`http://127.0.0.1:${bus.port}/$Resources/queues`);
  expect(response.status).toBe(501);
  expect(await response.text()).toMatch(/^<Error><Code>501<\/Code><Detail>.*administration API/);
});
