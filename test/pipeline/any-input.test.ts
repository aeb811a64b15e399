import type { ServiceBusMessage } from '@azure/service-bus';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { arbitraryBodies, arbitraryTexts } from '../support/arbitrary-events.ts';
import { Chain } from '../support/chain.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const inBatches = 19_000;
const singly = 400;
const throughQueue = 600;
const perBatch = 90;

let chain: Chain;
beforeAll(async () => {
  chain = await Chain.start({ env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
});
afterAll(() => chain?.close());

it(`stops, crashes and loses nothing, whatever 20,000 events hold (SEED=${seed})`, async () => {
  const { child } = chain.apps[0]!;
  const statuses = new Map<number, number>();
  const post = async (body: string | Buffer<ArrayBuffer>, type: string) => {
    const init = { method: 'POST', headers: { 'content-type': type }, body };
    const response = await chain.request('/api/events', init);
    await response.arrayBuffer();
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
  };

  const texts = arbitraryTexts(inBatches, seed);
  const requests: (() => Promise<void>)[] = [];
  for (let start = 0; start < texts.length; start += perBatch) {
    const body = `[${texts.slice(start, start + perBatch).join(',')}]`;
    requests.push(() => post(body, 'application/cloudevents-batch+json'));
  }
  for (const body of arbitraryBodies(singly, seed + 1)) {
    requests.push(() => post(body, 'application/cloudevents+json'));
  }
  await eightAtOnce(requests);
  expect([...statuses.keys()].sort().filter((status) => ![202, 400, 413].includes(status))).toEqual([]);
  expect(statuses.get(400)).toBeGreaterThan(100);

  const messages = arbitraryBodies(throughQueue, seed + 2).map(
    (body, index): ServiceBusMessage => ({
      body,
      messageId: `any-${index}`,
      contentType: 'application/json',
    }),
  );
  const sender = chain.serviceBus.createSender('manufacturing-events');
  for (let start = 0; start < messages.length; start += 20) {
    const batch = await sender.createMessageBatch();
    for (const message of messages.slice(start, start + 20)) {
      if (!batch.tryAddMessage(message)) {
        await sender.sendMessages(message);
      }
    }
    await sender.sendMessages(batch);
  }
  await sender.close();
  const outcomesOf = () => {
    const counts = new Map<string, number>();
    for (const { data } of chain.listener.outcomes.values()) {
      const { messageId = '' } = data as { messageId?: string };
      counts.set(messageId, (counts.get(messageId) ?? 0) + 1);
    }
    return counts;
  };
  const open = () => {
    const counts = outcomesOf();
    return messages.filter(({ messageId }) => !counts.has(String(messageId)));
  };
  await chain.listener.until(
    () => open().length === 0,
    150_000,
    () => `no outcome of ${open().length}, such as ${JSON.stringify(String(open()[0]?.body).slice(0, 300))}`,
  );
  const counts = outcomesOf();
  expect(messages.filter(({ messageId }) => counts.get(String(messageId)) !== 1)).toEqual([]);
  expect(chain.contradictions).toEqual([]);
  expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
}, 240_000);

async function eightAtOnce(work: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < work.length; index = next++) {
      await work[index]?.();
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
