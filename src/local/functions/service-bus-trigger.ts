import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import { resolveSettings } from './app-settings.ts';
import { type FunctionApp, triggerOf } from './function-app.ts';
import type { HostSettings } from './host-json.ts';
import { invoke, logFailure } from './invocation.ts';
import type { Listener } from './listener.ts';
import type { Binding, RegisteredFunction } from './protocol.ts';
import { connectToServiceBus } from './service-bus-connection.ts';
import { invocationOf } from './service-bus-message.ts';
import { type Outcome, SettlementTurns } from './settlement-turns.ts';

/** Runs the function for each message of its queue or subscription, so many at a time, and settles by the result. */
export async function startServiceBusListener(
  app: FunctionApp,
  registered: RegisteredFunction,
  settings: HostSettings['serviceBus'],
): Promise<Listener> {
  const { name: bindingName, binding } = triggerOf(registered);
  refuseWhatIsMissingHere(registered, binding);
  const client = await connectToServiceBus(String(binding.connection ?? 'AzureWebJobsServiceBus'));
  const receiver = createReceiver(client, binding, settings.maxAutoLockRenewalDurationInMs);
  const completes =
    typeof binding.autoCompleteMessages === 'boolean'
      ? binding.autoCompleteMessages
      : settings.autoCompleteMessages;
  const turns = new SettlementTurns();
  const running = new Set<Promise<void>>();

  const settle = async (message: ServiceBusReceivedMessage, outcome: Outcome) => {
    if (outcome === 'complete' && !completes) {
      return;
    }
    await turns.take(outcome);
    if (outcome === 'complete') {
      await receiver.completeMessage(message);
    } else {
      await receiver.abandonMessage(message);
    }
  };
  const outcomeOf = async (message: ServiceBusReceivedMessage): Promise<Outcome> => {
    try {
      await invoke(app, registered, invocationOf(bindingName, binding, message));
      return 'complete';
    } catch (error) {
      logFailure(app, registered, error);
      return 'abandon';
    }
  };
  const run = async (message: ServiceBusReceivedMessage) => {
    const outcome = await outcomeOf(message);
    await settle(message, outcome).catch((error) => logFailure(app, registered, error));
  };
  const subscription = receiver.subscribe(
    {
      processMessage: async (message) => {
        const ended = run(message);
        running.add(ended);
        await ended.finally(() => running.delete(ended));
      },
      processError: async ({ error }) => logFailure(app, registered, error),
    },
    { autoCompleteMessages: false, maxConcurrentCalls: settings.maxConcurrentCalls },
  );
  return {
    async drain() {
      await subscription.close(); // the link stays open, so that what runs can still be settled
      await Promise.all(running);
    },
    async close() {
      await receiver.close();
      await client.close();
    },
  };
}

function createReceiver(client: ServiceBusClient, binding: Binding, renewalInMs: number): ServiceBusReceiver {
  const options = {
    skipParsingBodyAsJson: true,
    skipConvertingDate: true,
    maxAutoLockRenewalDurationInMs: renewalInMs,
  };
  if (binding.queueName !== undefined) {
    return client.createReceiver(resolveSettings(String(binding.queueName)), options);
  }
  const topic = resolveSettings(String(binding.topicName));
  return client.createReceiver(topic, resolveSettings(String(binding.subscriptionName)), options);
}

function refuseWhatIsMissingHere({ metadata }: RegisteredFunction, binding: Binding): void {
  if (binding.cardinality === 'many' || binding.isSessionsEnabled === true) {
    throw new Error(
      `The local Functions host takes single messages without sessions only ('${metadata.name}').`,
    );
  }
}
