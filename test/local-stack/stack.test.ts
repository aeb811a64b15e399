import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TableClient } from '@azure/data-tables';
import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../../src/local/stack/stack.ts';
import { receiveOne } from '../service-bus-emulator/bus.ts';
import { storageUrls } from './storage-urls.ts';

const tableOf = ({ endpoints }: Stack) =>
  TableClient.fromConnectionString(endpoints.tables.connectionString, 'things', {
    allowInsecureConnection: true,
  });

describe('The stack', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(() => stack.close());

  it('has the Service Bus entities of the product', async () => {
    const client = new ServiceBusClient(stack.endpoints.serviceBus.connectionString);
    for (const queue of ['manufacturing-events', 'background-work']) {
      await client.createSender(queue).sendMessages({ body: queue });
      expect(await receiveOne(client.createReceiver(queue))).toMatchObject({ body: queue });
    }
    await client.createSender('enrollment-outcomes').sendMessages({ body: 'outcome' });
    expect(await receiveOne(client.createReceiver('enrollment-outcomes', 'all'))).toMatchObject({
      body: 'outcome',
    });
    await client.close();
  });

  it('has tables', async () => {
    const table = tableOf(stack);
    await table.createTable();
    await table.createEntity({ partitionKey: 'p', rowKey: 'r', value: 1 });
    expect(await table.getEntity('p', 'r')).toMatchObject({ value: 1 });
  });

  it('serves blobs and queues beside them, which a real Functions host wants', async () => {
    for (const url of storageUrls(stack.endpoints.tables.connectionString)) {
      expect((await fetch(url)).headers.get('server')).toContain('Azurite');
    }
  });

  it('has a DPS', async () => {
    const response = await fetch(`${stack.endpoints.dps.endpoint}/_emulator/stats`);
    expect(await response.json()).toMatchObject({ enrollments: 0, enrollmentGroups: 0 });
  });
});

describe('A stack', () => {
  it('that is closed answers nowhere', async () => {
    const stack = await startStack();
    await stack.close();
    const { dps, tables } = stack.endpoints;
    for (const url of [dps.endpoint, ...storageUrls(tables.connectionString)]) {
      await expect(fetch(url)).rejects.toThrow();
    }
  });

  it('with a data directory has its tables again after a restart', async () => {
    const dataDirectory = mkdtempSync(path.join(tmpdir(), 'stack-data-'));
    const first = await startStack({ dataDirectory });
    await tableOf(first).createTable();
    await tableOf(first).createEntity({ partitionKey: 'p', rowKey: 'r', value: 'kept' });
    await first.close();
    const second = await startStack({ dataDirectory });
    expect(await tableOf(second).getEntity('p', 'r')).toMatchObject({ value: 'kept' });
    await second.close();
    rmSync(dataDirectory, { recursive: true });
  });

  it.each([
    ['the DPS emulator', '--dps-port', (port: number) => ({ dpsPort: port })],
    ['the DPS emulator', '--dps-tls-port', (port: number) => ({ dpsTlsPort: port })],
    ['the DPS emulator', '--mqtt-port', (port: number) => ({ mqttPort: port })],
    ['the Service Bus emulator', '--servicebus-port', (port: number) => ({ serviceBusPort: port })],
    ['Azurite', '--azurite-port', (port: number) => ({ azuritePort: port })],
  ])('does not start when the port of %s is taken, and says what to do', async (use, flag, optionsFor) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(startStack(optionsFor(port))).rejects.toThrow(
      `Port ${port} is taken, which ${use} needs: stop what uses it, or choose another with ${flag}`,
    );
    other.close();
  });
});
